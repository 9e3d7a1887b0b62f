internal import LinuxSystem
internal import SandboxPolicy

/// An executable of the folder and its manifest, as they are in force: the last state of them that was whole.
///
/// `merged` takes the findings of a look and returns the entry that is in force from then on. A file that is still
/// being written, was gone for a moment, or cannot be understood changes nothing; a file that must not be trusted any
/// more is out of force at once.
struct BackendEntry: Equatable, Sendable {
    let name: String
    /// Of the executable.
    private(set) var path: String
    var executable: ExecutableVersion
    var manifest: BackendManifest
    /// Nil without a manifest, and so is its SHA-256.
    var manifestFacts: FileFacts?
    var manifestDigest: [UInt8]?
    /// The version of its manifest's policy that it is launched with; nil: the policy cannot be read.
    var policy: PolicyVersion?
    /// Why what now lies there waits for its owner; nil: it is in force.
    var refusal: PinBook.Refusal?
    /// Why no process of it may be launched; nil: one may.
    var distrust: String?
    /// The changes in the folder that are not in force, and why; empty when there are none.
    var notice = ""
    /// Since when a file of it has been missing.
    var missingSince: Monotonic?

    /// The finding of a look about one file.
    enum Finding<Content: Equatable & Sendable>: Equatable, Sendable {
        case absent
        /// It is being written.
        case unsettled
        /// It may not be used; the end of a sentence about it.
        case refused(String)
        /// It cannot be understood, or is not whole; a sentence.
        case unreadable(String)
        case usable(Content)
    }

    struct ReadManifest: Equatable, Sendable {
        let facts: FileFacts
        /// SHA-256 of its bytes.
        let digest: [UInt8]?
        let manifest: BackendManifest
    }

    enum Outcome: Equatable, Sendable {
        case inForce(BackendEntry)
        /// Nothing is run; the end of a sentence that says why.
        case ignored(String)
        case nothing
    }

    /// - Parameter missingMilliseconds: a file that is missing for less is being replaced, as editors do.
    static func merged(
        _ name: String, path: String, before: BackendEntry?, executable: Finding<ExecutableVersion>,
        manifest: Finding<ReadManifest>, now: Monotonic, missingMilliseconds: UInt64
    ) -> Outcome {
        if case .refused(let reason) = executable { return .ignored(reason) }
        guard var entry = before else { return first(name, path: path, executable, manifest) }
        if executable == .unsettled || manifest == .unsettled { return .inForce(entry) }
        let isMissing = executable == .absent || (manifest == .absent && entry.manifestFacts != nil)
        if isMissing {
            let since = entry.missingSince ?? now
            entry.missingSince = since
            if now.since(since) < missingMilliseconds &* 1_000_000 { return .inForce(entry) }
            if executable == .absent { return .nothing }
        }
        entry.missingSince = nil
        entry.notice = ""
        if case .usable = executable { entry.path = path }
        entry.take(executable)
        entry.take(manifest)
        return .inForce(entry)
    }

    /// An executable that was not run before needs the manifest that its owner meant for it.
    private static func first(
        _ name: String, path: String, _ executable: Finding<ExecutableVersion>, _ manifest: Finding<ReadManifest>
    ) -> Outcome {
        guard case .usable(let version) = executable else {
            if case .unreadable(let reason) = executable {
                return .ignored("an executable that cannot be run: \(reason)")
            }
            return .nothing
        }
        var entry = BackendEntry(
            name: name, path: path, executable: version, manifest: BackendManifest(executableName: name))
        switch manifest {
        case .unsettled: return .nothing
        case .refused(let reason): return .ignored("an executable whose manifest is refused: it is \(reason)")
        case .unreadable(let reason): return .ignored("an executable whose manifest is refused: \(reason)")
        case .absent, .usable:
            entry.take(manifest)
            return .inForce(entry)
        }
    }

    private mutating func take(_ executable: Finding<ExecutableVersion>) {
        switch executable {
        case .usable(let version): self.executable = version
        case .unreadable(let reason):
            addNotice("what now lies there is not run: \(reason); the earlier one is in force")
        case .absent, .unsettled, .refused: break
        }
    }

    private mutating func take(_ manifest: Finding<ReadManifest>) {
        switch manifest {
        case .usable(let read):
            self.manifest = read.manifest
            manifestFacts = read.facts
            manifestDigest = read.digest
        case .absent:
            self.manifest = BackendManifest(executableName: name)
            manifestFacts = nil
            manifestDigest = nil
        case .unreadable(let reason): addNotice("its manifest is refused: \(reason); the earlier settings are in force")
        case .refused(let reason):
            addNotice("its manifest is refused: \(name).json is \(reason); the earlier settings are in force")
        case .unsettled: break
        }
    }

    private mutating func addNotice(_ sentence: String) {
        notice = notice.isEmpty ? sentence : "\(notice); \(sentence)"
    }

    func definitions(folder: String, owner: OwnerLimits) -> [BackendDefinition] {
        manifest.models.map {
            BackendDefinition(
                name: name, path: path, executable: executable, manifest: manifest, manifestDigest: manifestDigest,
                policy: policy, model: $0,
                weights: BackendDefinition.WeightsPlace(of: $0, folder: folder, owner: owner))
        }
    }

    /// The definition of a model that lies in a folder of models.
    /// - Parameter sequences: the number of sequences where the model's settings name none.
    func definition(of model: ModelEntry, sequences: UInt32) -> BackendDefinition {
        var served = model.sidecar.settings
        served.id = model.id
        served.maxSequences = served.maxSequences ?? sequences
        served.residence = served.residence ?? .onDemand(keepAliveSeconds: nil)
        return BackendDefinition(
            name: name, path: path, executable: executable, manifest: manifest, manifestDigest: manifestDigest,
            policy: policy, model: served,
            weights: BackendDefinition.WeightsPlace(of: served, inModelFolder: model.path))
    }

    /// Keeps the manifest of `before` in force, because the new one asks for something that cannot be had.
    mutating func keepManifest(of before: BackendEntry, because reason: String) {
        manifest = before.manifest
        // The new manifest is read again with every look, until it can be used.
        manifestFacts = before.manifestFacts
        manifestDigest = before.manifestDigest
        addNotice("its manifest is refused: \(reason); the earlier settings are in force")
    }
}
