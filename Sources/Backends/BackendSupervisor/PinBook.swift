internal import BaseEncodings
internal import Glibc
internal import LinuxSystem
package import Logging
internal import SandboxPolicy
internal import StrictJSON
internal import Synchronization

/// The pins of backends and their file, `pins.json` in the state folder: mode 0600, replaced as a whole. What it decides
/// is in `BackendPins`. Any thread; blocks for the disk, so not on the loop.
///
/// An agent that takes over works with the same file, so it is read again when it has changed. A file that cannot be
/// read, or is not understood, lets nothing start.
package final class PinBook: Sendable {
    /// A backend that may not be run, and why.
    struct Refusal: Equatable, Sendable {
        /// Its files as they were found.
        let found: BackendPins.Files
        /// Empty where that cannot be told.
        let changes: [BackendPins.Change]
        /// A sentence about the backend, with the remedy.
        let words: String
    }

    private struct State {
        var pins = BackendPins()
        /// Of the file at its last reading; nil: there was none.
        var facts: FileFacts?
        var isRead = false
        /// Why the pins are not known, a sentence with the remedy; empty when they are.
        var flaw = ""
    }

    private let path: String
    private let installed: @Sendable () -> [String: [UInt8]]
    private let logger: Logger
    private let state = Mutex(State())

    /// Throws, with the remedy, for a file that cannot be read or is not understood.
    /// - Parameters:
    ///   - state: the state folder.
    ///   - installed: reads the SHA-256 of what an installation has put there, by folder and name: "backends/echo". Asked
    ///     whenever something has changed, because an installation may be what changed it.
    package init(
        state: String, installed: @escaping @Sendable () -> [String: [UInt8]], logger: Logger
    ) throws(SupervisorError) {
        path = state + "/pins.json"
        self.installed = installed
        self.logger = logger
        let flaw = self.state.withLock { state in
            refresh(&state)
            return state.flaw
        }
        guard flaw.isEmpty else { throw SupervisorError(flaw) }
    }

    /// Whether the backend may be run; nil: yes.
    /// - Parameters:
    ///   - file: the name of its executable's file.
    ///   - policy: the name of its policy.
    ///   - isLook: its files were found whole by a look at the folder: one that is seen first is pinned, and so is what an
    ///     installation has put in the place of what was pinned.
    func refusal(
        of name: String, file: String, policy: String, _ files: BackendPins.Files, isLook: Bool
    ) -> Refusal? {
        let places: [BackendPins.Part: String] = [
            .executable: "backends/\(file)", .manifest: "backends/\(name).json", .policy: "policies/\(policy).json",
        ]
        return state.withLock { state in
            refresh(&state)
            guard state.flaw.isEmpty else { return Refusal(found: files, changes: [], words: state.flaw) }
            var verdict = state.pins.verdict(on: name, files)
            if case .changed = verdict {
                let installed = installed()
                verdict = state.pins.verdict(on: name, files) { part, digest in
                    places[part].flatMap { installed[$0] } == digest
                }
            }
            switch verdict {
            case .pinned, .unknown: return nil
            case .firstSight where !isLook, .installed where !isLook: return nil
            case .firstSight: return pin(name, files, "pinned at first sight", &state)
            case .installed: return pin(name, files, "pinned as its installation brought it", &state)
            case .changed(let changes):
                let words = changes.map(\.words).joined(separator: "; ")
                return Refusal(
                    found: files, changes: changes,
                    words: "\(words); it waits until its owner says: hearth backends trust \(name)")
            }
        }
    }

    /// Whether these files of a backend, as far as they are known, are those that were pinned; true where the pins are not
    /// known, because what runs then goes on.
    func holds(_ name: String, _ files: BackendPins.Files) -> Bool {
        state.withLock { state in
            guard state.flaw.isEmpty else { return true }
            if case .changed = state.pins.verdict(on: name, files) { return false }
            return true
        }
    }

    /// Throws, with the remedy, unless an executable with this digest may be launched for the definition.
    func demand(_ definition: BackendDefinition, executable: [UInt8]) throws(SupervisorError) {
        guard let policy = definition.policy else {
            throw SupervisorError("its policy was put into place a moment ago", isTransient: true)
        }
        let files = BackendPins.Files(
            executable: executable, manifest: definition.manifestDigest, policy: policy.digest)
        let refusal = refusal(
            of: definition.name, file: definition.fileName, policy: definition.manifest.policy, files, isLook: false)
        if let refusal { throw SupervisorError(refusal.words) }
    }

    /// From now on a backend is run with these files. Throws where that cannot be kept.
    func trust(_ name: String, _ files: BackendPins.Files) throws(SupervisorError) {
        let refusal = state.withLock { state in
            refresh(&state)
            guard state.flaw.isEmpty else { return Optional(Refusal(found: files, changes: [], words: state.flaw)) }
            return pin(name, files, "trusted by its owner", &state)
        }
        if let refusal { throw SupervisorError(refusal.words) }
    }

    /// Pins what cannot be forgotten: a pin that is not on the disk is not in force.
    private func pin(_ name: String, _ files: BackendPins.Files, _ how: String, _ state: inout State) -> Refusal? {
        guard state.pins.all[name] != nil || state.pins.haveRoom else {
            return Refusal(
                found: files, changes: [],
                words:
                    "it cannot be pinned: \(path) holds \(BackendPins.countMax) backends, the most; take those out of "
                    + "it that are gone")
        }
        var pins = state.pins
        pins.pin(name, files)
        do throws(LinuxError) {
            try FileBytes.replace(path, with: Array(pins.encoded.utf8))
        } catch {
            return Refusal(found: files, changes: [], words: "it cannot be pinned: \(error)")
        }
        state.pins = pins
        state.facts = try? FileFacts(path: path)
        var metadata: Logger.Metadata = ["backend": "\(name)"]
        for part in BackendPins.Part.allCases {
            metadata[part.rawValue] = files[part].map { "sha256 \(hexadecimal($0))" }
        }
        logger.notice("\(how)", metadata: metadata)
        return nil
    }

    private func refresh(_ state: inout State) {
        let facts = try? FileFacts(path: path)
        if state.isRead, facts == state.facts, state.flaw.isEmpty { return }
        state.isRead = true
        state.facts = facts
        do {
            state.pins = try read()
            state.flaw = ""
        } catch {
            state.flaw =
                "which backends its owner trusts is unknown: \(error); correct that file, or remove it: then every "
                + "backend is pinned as it lies there"
        }
    }

    private func read() throws -> BackendPins {
        do {
            let bytes = try PathTrust.open(path, .state, O_RDONLY).read(max: JSONLimits.fileBytesMax)
            return try BackendPins(bytes, file: path)
        } catch let error as TrustError where error.isAbsence {
            return BackendPins()
        }
    }
}
