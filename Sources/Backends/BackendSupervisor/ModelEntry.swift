internal import LinuxSystem
internal import ModelNaming
internal import SandboxPolicy

/// A model's file in a folder of models and its owner's settings for it, as they are in force: the last state that was
/// whole.
///
/// `merged` takes the findings of a look and returns the entry that is in force from then on.
struct ModelEntry: Equatable, Sendable {
    /// The path of the weights, as their owner knows it; of a model in parts, that of the first one.
    let path: String
    let name: ModelName
    /// The ending of the file's name, in lower case.
    let format: String
    var sidecar = ModelSidecar()
    /// Nil without one.
    var sidecarFacts: FileFacts?
    /// The settings that are not in force, and why; empty when all are.
    var notice = ""
    /// The id in place of its own, which another model has.
    var alias: String?
    /// Since when a file of it has been missing.
    var missingSince: Monotonic?

    struct ReadSidecar: Equatable, Sendable {
        let facts: FileFacts
        let sidecar: ModelSidecar
    }

    enum Outcome: Equatable, Sendable {
        case inForce(ModelEntry)
        /// It is not served; the end of a sentence that says why.
        case unserved(String)
        case nothing
    }

    /// The id that consumers name it by.
    var id: String { alias ?? sidecar.id ?? name.id }

    /// The entry of a file that was not there before, without settings.
    init(path: String, format: String) {
        self.path = path
        self.format = format
        name = ModelName(path: path)
    }

    /// The entry after a look. `format` is that of the weights that the look found at this path, nil where there are
    /// none; `sidecar` holds the settings, `.absent` where there are none.
    /// - Parameter missingMilliseconds: a file that is missing for less is being replaced.
    static func merged(
        _ path: String, format: String?, before: ModelEntry?, sidecar: BackendEntry.Finding<ReadSidecar>,
        now: Monotonic, missingMilliseconds: UInt64
    ) -> Outcome {
        let isThere = format != nil
        guard var entry = before ?? format.map({ ModelEntry(path: path, format: $0) }) else { return .nothing }
        if before == nil {
            switch sidecar {
            // Its settings are just being written.
            case .unsettled: return .nothing
            case .refused(let reason), .unreadable(let reason):
                return .unserved("not served, because its settings are refused: \(reason)")
            case .absent, .usable: break
            }
        }
        if !isThere || (sidecar == .absent && entry.sidecarFacts != nil) {
            let since = entry.missingSince ?? now
            entry.missingSince = since
            if now.since(since) < missingMilliseconds &* 1_000_000 { return .inForce(entry) }
            if !isThere { return .nothing }
        }
        entry.missingSince = nil
        switch sidecar {
        case .unsettled: break
        case .usable(let read):
            entry.sidecar = read.sidecar
            entry.sidecarFacts = read.facts
            entry.notice = ""
        case .absent:
            entry.sidecar = ModelSidecar()
            entry.sidecarFacts = nil
            entry.notice = ""
        case .refused(let reason), .unreadable(let reason):
            entry.notice = "its settings are refused: \(reason); the earlier ones are in force"
        }
        return .inForce(entry)
    }
}

/// A file of the folders of models that is not served, and why.
package struct UnservedFile: Equatable, Sendable {
    package let path: String
    /// The reason, as the end of a sentence about the file, with the remedy.
    package let reason: String
}
