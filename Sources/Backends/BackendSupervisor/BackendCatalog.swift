internal import Cryptography
internal import Glibc
internal import LinuxSystem
internal import SandboxPolicy
internal import StrictJSON
internal import TerminalText

/// The contents of a backends folder as they are in force: executables, manifests, and the files that these need.
struct BackendCatalog: Sendable {
    /// One backend, by its executable's name and its model's id.
    struct Key: Hashable, Sendable {
        let name: String
        let model: String
    }

    /// One of the processes of a backend.
    struct Process: Hashable, Sendable {
        let backend: Key
        /// From 1 to the number of its model's replicas.
        let number: Int
    }

    var folder = BackendFolder()
    /// The backends by the executable's name.
    var entries: [String: BackendEntry] = [:]
    /// The policies that the manifests in force name, by name.
    var policies: [String: PolicyEntry] = [:]
    /// The models by the path of the weights.
    var models: [String: ModelEntry] = [:]
    /// First the definitions of manifests, by name and the order in the manifest; then those of the folders of models,
    /// by folder and name.
    var definitions: [BackendDefinition] = []
    var files: [Key: BackendFiles] = [:]
    /// The present facts of the files of weights that running backends have open, in their order; nil: not known.
    var held: [Process: [FileFacts?]] = [:]
    var ignored: [IgnoredFile] = []
    /// Files of the folders of models; ordered by folder and name.
    var unserved: [UnservedFile] = []
    /// The settings of served models that are not in force, and why; empty when all are.
    var notices: [Key: String] = [:]
    /// Whether the look before found the same, `held` apart.
    var isUnchanged = false
    /// Whether files are being written or replaced, so that another look is due soon.
    var isSettling = false
}

extension BackendCatalog {
    fileprivate func hasSameContent(as other: BackendCatalog) -> Bool {
        definitions == other.definitions && files == other.files && entries == other.entries
            && policies == other.policies && ignored == other.ignored && unserved == other.unserved
            && notices == other.notices
    }
}

/// Reads a backends folder; blocks, for long only where `isThorough` asks for it.
struct CatalogReader: Sendable {
    /// A file that changed more recently than this may have changed once more with the same time.
    var certainMilliseconds: UInt64 { 2 * DigestCache.quietMilliseconds }

    let path: String
    var modelFolders: [String] = []
    /// Paths of models that are served beside those of the folders.
    var lentModels: [String] = []
    let policiesDirectory: String
    let owner: OwnerLimits
    let limits: SupervisorConfiguration.Limits
    let digests: DigestCache
    var hostSettings = HostSettings.paths
    /// Whether to read executables and to look at weights, which takes long.
    var isThorough = true
    /// The weights that running backends have open.
    var held: [BackendCatalog.Process: ModelWeights] = [:]
    /// Nil: its owner lets every change of a backend run.
    var pins: PinBook?

    /// Throws when the folder cannot be used.
    func read(before: BackendCatalog) throws -> BackendCatalog {
        var catalog = BackendCatalog(folder: try BackendFolder.scan(path, limits: limits, before: before.folder))
        catalog.ignored = catalog.folder.ignored
        for name in Set(catalog.folder.executables.keys).union(before.entries.keys).sorted() {
            take(name, into: &catalog, before: before.entries[name])
        }
        takePolicies(into: &catalog, before: before)
        admit(into: &catalog, before: before)
        for (name, file) in catalog.folder.manifests {
            guard let refusal = file.refusal, catalog.folder.executables[name] != nil else { continue }
            catalog.ignored.append(IgnoredFile(name: "\(name).json", reason: refusal))
        }
        catalog.definitions = catalog.entries.sorted { $0.key < $1.key }.flatMap {
            $0.value.definitions(folder: path, owner: owner)
        }
        // Weights that a manifest names may lie here; they are no backends, whatever their mode.
        let weights = Set(
            catalog.definitions.flatMap { definition in definition.model.file.map(definition.model.paths) ?? [] })
        catalog.definitions.removeAll { weights.contains($0.name) }
        catalog.ignored.removeAll { weights.contains($0.name) }
        var processes = 0
        let kept = catalog.definitions.prefix {
            processes += $0.replicas
            return processes <= limits.backendsMax
        }
        let excess = catalog.definitions.count - kept.count
        if excess > 0 {
            catalog.definitions.removeLast(excess)
            catalog.ignored.append(
                IgnoredFile(name: "...", reason: "\(excess) more; at most \(limits.backendsMax) processes are run"))
        }
        catalog.ignored.sort { $0.name < $1.name }
        takeModels(into: &catalog, before: before)
        let host = isThorough ? HostSettings(hostSettings) : nil
        for definition in catalog.definitions {
            catalog.files[definition.key] = files(of: definition, in: catalog, before: before.files[definition.key])
            catalog.files[definition.key]?.host = host
        }
        for (process, weights) in held { catalog.held[process] = weights.files.map { $0.currentFacts() } }
        catalog.isUnchanged = catalog.hasSameContent(as: before)
        return catalog
    }

    private func take(_ name: String, into catalog: inout BackendCatalog, before: BackendEntry?) {
        let manifest = manifest(name, in: catalog.folder, before)
        let interpreter =
            if case .usable(let read) = manifest { read.manifest.interpreter } else { before?.manifest.interpreter }
        let executable = executable(name, in: catalog.folder, runBy: interpreter, before)
        let outcome = BackendEntry.merged(
            name, path: "\(path)/\(catalog.folder.executables[name]?.name ?? name)", before: before,
            executable: executable, manifest: manifest, now: .now(), missingMilliseconds: limits.settledMilliseconds)
        if executable == .unsettled || manifest == .unsettled { catalog.isSettling = true }
        switch outcome {
        case .inForce(let entry):
            catalog.entries[name] = entry
            if entry.missingSince != nil { catalog.isSettling = true }
        case .ignored(let reason): catalog.ignored.append(IgnoredFile(name: name, reason: reason))
        case .nothing: break
        }
    }

    private func takePolicies(into catalog: inout BackendCatalog, before: BackendCatalog) {
        for (name, entry) in catalog.entries {
            let policy = take(policy: entry.manifest.policy, into: &catalog, before: before)
            catalog.entries[name]?.policy = policy.inForce
            // A policy that was never whole changes no sandbox: a backend that another one holds stays under it.
            guard policy.inForce == nil, let earlier = before.entries[name],
                earlier.manifest.policy != entry.manifest.policy,
                let held = take(policy: earlier.manifest.policy, into: &catalog, before: before).inForce
            else { continue }
            var entry = entry
            entry.keepManifest(of: earlier, because: refusal(of: entry.manifest.policy))
            entry.policy = held
            catalog.entries[name] = entry
        }
    }

    /// Leaves out of force what its owner has yet to trust.
    private func admit(into catalog: inout BackendCatalog, before: BackendCatalog) {
        guard let pins else { return }
        for (name, entry) in catalog.entries {
            let admitted = entry.admitted(by: pins, before: before.entries[name])
            catalog.entries[name] = admitted
            _ = take(policy: admitted.manifest.policy, into: &catalog, before: before)
        }
    }

    private func take(
        policy name: String, into catalog: inout BackendCatalog, before: BackendCatalog
    ) -> PolicyEntry {
        if let entry = catalog.policies[name] { return entry }
        let path = "\(policiesDirectory)/\(name).json"
        let known = before.policies[name]
        let facts = try? FileFacts(following: path)
        let finding = facts.map { policy(name, $0, known) } ?? .absent
        if finding == .unsettled { catalog.isSettling = true }
        let entry = PolicyEntry.merged(path: path, before: known, facts: facts, finding: finding)
        catalog.policies[name] = entry
        return entry
    }

    private func policy(
        _ name: String, _ facts: FileFacts, _ before: PolicyEntry?
    ) -> BackendEntry.Finding<PolicyVersion> {
        let now = FileFacts.clockNanoseconds()
        if let known = before?.inForce {
            if known.facts == facts, facts.wasQuiet(forMilliseconds: certainMilliseconds, at: now) {
                return .usable(known)
            }
            guard facts.wasQuiet(forMilliseconds: limits.settledMilliseconds, at: now, before: before?.facts) else {
                return .unsettled
            }
        }
        do throws(SandboxPolicyError) {
            let (policy, bytes) = try SeccompPolicy.read(name, in: policiesDirectory)
            let known = before?.inForce?.policy == policy ? before?.inForce?.filter : nil
            let filter = if let known { known } else { try policy.compile() }
            return .usable(
                PolicyVersion(
                    facts: facts, digest: bytes.withUnsafeBytes(SHA256.digest), policy: policy, filter: filter))
        } catch {
            return .unreadable(printable("\(error)"))
        }
    }

    /// Why a policy cannot be used, as a sentence.
    private func refusal(of name: String) -> String {
        do throws(SandboxPolicyError) {
            _ = try SeccompPolicy.named(name, in: policiesDirectory).compile()
            return "its policy '\(name)' was refused a moment ago"
        } catch {
            return printable("\(error)")
        }
    }

    private func executable(
        _ name: String, in folder: BackendFolder, runBy interpreter: String?, _ before: BackendEntry?
    ) -> BackendEntry.Finding<ExecutableVersion> {
        guard let file = folder.executables[name] else { return .absent }
        if let refusal = file.refusal {
            // A file that is just being put there is not reported.
            return before == nil && !file.isSettled ? .unsettled : .refused(refusal)
        }
        guard file.isSettled else { return .unsettled }
        let known = before?.executable
        // An interpreter that a package manager replaces is another program.
        let unread = ExecutableVersion(
            facts: file.facts, interpreter: interpreter.flatMap { try? FileFacts(following: $0) })
        if let known, known.facts == unread.facts, known.interpreter == unread.interpreter,
            known.digest != nil || !isThorough
        {
            return .usable(known)
        }
        guard isThorough else { return .usable(unread) }
        do {
            return .usable(
                try ExecutableVersion(path: "\(path)/\(file.name)", interpreter: interpreter, digests: digests))
        } catch {
            // For an executable that was not run before, the launch reports the error.
            let isKnown = known?.facts == unread.facts && known?.interpreter == unread.interpreter
            return known == nil || isKnown ? .usable(unread) : .unreadable(printable("\(error)"))
        }
    }

    private func manifest(
        _ name: String, in folder: BackendFolder, _ before: BackendEntry?
    ) -> BackendEntry.Finding<BackendEntry.ReadManifest> {
        guard let file = folder.manifests[name] else { return .absent }
        if let refusal = file.refusal { return .refused(refusal) }
        guard file.isSettled else { return .unsettled }
        if let before, before.manifestFacts == file.facts,
            file.facts.wasQuiet(forMilliseconds: certainMilliseconds, at: FileFacts.clockNanoseconds())
        {
            return .usable(
                BackendEntry.ReadManifest(
                    facts: file.facts, digest: before.manifestDigest, manifest: before.manifest))
        }
        do {
            return .usable(try read("\(path)/\(name).json", of: name))
        } catch {
            return .unreadable(printable("\(error)"))
        }
    }

    private func read(_ file: String, of name: String) throws -> BackendEntry.ReadManifest {
        let opened = try PathTrust.open(file, .backendManifest, O_RDONLY)
        let bytes = try opened.read(max: SandboxPolicyLimits.manifestBytesMax)
        return BackendEntry.ReadManifest(
            facts: opened.facts, digest: bytes.withUnsafeBytes(SHA256.digest),
            manifest: try BackendManifest.parse(bytes, executableName: name, file: file))
    }

    private func files(
        of definition: BackendDefinition, in catalog: BackendCatalog, before: BackendFiles?
    ) -> BackendFiles {
        var files = BackendFiles(
            executable: definition.executable.facts, manifest: catalog.entries[definition.name]?.manifestFacts,
            isComplete: isThorough)
        files.interpreter = definition.executable.interpreter
        files.distrust = catalog.entries[definition.name]?.distrust
        guard isThorough else { return files }
        files.policy = catalog.policies[definition.manifest.policy]?.facts
        switch definition.weights {
        case .none: break
        case .refused(let sentence): files.weights = [.refused(sentence)]
        case .at(let places):
            files.weights = WeightsLook.look(
                at: places, settledMilliseconds: limits.weightsSettledMilliseconds, before: before?.weights ?? [])
        }
        return files
    }
}
