internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import StrictJSON

/// What is to run: an executable with one of its models and its policy, compared by meaning. A manifest that was only
/// touched or got another model, and a policy with another comment, give the same definitions as before.
struct BackendDefinition: Equatable, Sendable {
    /// The backend's name.
    let name: String
    /// Of the executable.
    let path: String
    var executable: ExecutableVersion
    /// The manifest with this model alone.
    let manifest: BackendManifest
    /// SHA-256 of the manifest's file; nil without one.
    let manifestDigest: [UInt8]?
    /// The policy that it is launched with; nil: the content of the policy's file at the launch.
    let policy: PolicyVersion?
    /// Without its number of replicas, because each process is the same however many there are.
    let model: BackendManifest.Model
    /// The most processes that run for it at once, at least one.
    let replicas: Int
    /// Where the model's weights lie.
    let weights: WeightsPlace

    enum WeightsPlace: Hashable, Sendable {
        /// The model has no weights.
        case none
        /// Their file, or all of their parts in order, and then the model's adapters and its draft model.
        case at([PlaceWithin])
        /// The weights may not lie where the manifest says; a sentence with the remedy.
        case refused(String)
    }

    /// - Parameter replicas: nil: as the model says.
    init(
        name: String, path: String, executable: ExecutableVersion, manifest: BackendManifest,
        manifestDigest: [UInt8]? = nil, policy: PolicyVersion? = nil, model: BackendManifest.Model,
        weights: WeightsPlace, replicas: Int? = nil
    ) {
        self.name = name
        self.path = path
        self.executable = executable
        self.replicas = replicas ?? model.replicas ?? 1
        var model = model
        model.replicas = nil
        var manifest = manifest
        manifest.models = [model]
        self.manifest = manifest
        self.manifestDigest = manifestDigest
        self.policy = policy
        self.model = model
        self.weights = weights
    }

    /// Whether a process of the one would be like a process of the other.
    func isSame(as other: BackendDefinition) -> Bool {
        name == other.name && path == other.path && manifest == other.manifest && weights == other.weights
            && executable.hasSameContent(as: other.executable)
            && hasSamePolicy(as: other)
    }

    var key: BackendCatalog.Key { BackendCatalog.Key(name: name, model: model.id) }

    /// The name of the executable's file: its own, or that of a build for one level of processors.
    var fileName: String { String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]) }

    /// The file that its owner touches to have it tried again.
    var retryPath: String { model.file == nil ? weights.place?.path ?? path : path }

    private func hasSamePolicy(as other: BackendDefinition) -> Bool {
        guard let policy, let theirs = other.policy else { return policy == other.policy }
        return policy.hasSameMeaning(as: theirs)
    }
}

/// Which content an executable has, and the program that runs it where it is a script.
struct ExecutableVersion: Equatable, Sendable {
    let facts: FileFacts
    /// Of the program that runs it; nil: none, or there is no such file.
    let interpreter: FileFacts?
    /// SHA-256, of both; nil before they were read.
    var digest: [UInt8]?
    /// SHA-256 of the file alone; nil before it was read.
    var fileDigest: [UInt8]?

    init(
        facts: FileFacts, interpreter: FileFacts? = nil, digest: [UInt8]? = nil, fileDigest: [UInt8]? = nil
    ) {
        self.facts = facts
        self.interpreter = interpreter
        self.digest = digest
        self.fileDigest = fileDigest
    }

    /// The version of an executable file. Throws when it cannot be a backend, as far as that shows without running it.
    /// Reads the whole files unless their digests are known.
    init(path: String, interpreter: String? = nil, digests: DigestCache) throws {
        func digest(of file: borrowing TrustedFile) throws -> [UInt8] {
            try FileDigest.sha256(file.descriptor, file.facts, path: file.path, digests: digests)
        }
        guard let interpreter else {
            let program = try BackendExecutable.checkedFile(path)
            let digest = try digest(of: program)
            self.init(facts: program.facts, digest: digest, fileDigest: digest)
            return
        }
        let script = try BackendExecutable.checkedScript(path)
        let program = try BackendExecutable.checkedInterpreter(interpreter)
        let text = try digest(of: script)
        self.init(
            facts: script.facts, interpreter: program.facts,
            digest: BackendExecutable.digest(ofScriptWith: text, interpreter: try digest(of: program)),
            fileDigest: text)
    }

    func hasSameContent(as other: ExecutableVersion) -> Bool {
        (facts == other.facts && interpreter == other.interpreter) || (digest != nil && digest == other.digest)
    }
}

/// The files that a backend needs, as one look found them. A backend that failed may succeed once one of them has
/// changed.
struct BackendFiles: Equatable, Sendable {
    let executable: FileFacts
    /// Of the program that runs it, where it is a script.
    var interpreter: FileFacts?
    let manifest: FileFacts?
    var policy: FileFacts?
    /// Of each file of the weights, in order; empty where the model has none.
    var weights: [WeightsLook] = []
    /// No file of the backend, but a possible cause of its failure.
    var host: HostSettings?
    /// Why its owner's trust is missing; nil: it may be launched.
    var distrust: String?
    /// Whether policy, weights and host were looked at.
    let isComplete: Bool

    init(executable: FileFacts, manifest: FileFacts?, isComplete: Bool = true) {
        self.executable = executable
        self.manifest = manifest
        self.isComplete = isComplete
    }
}

extension BackendDefinition.WeightsPlace {
    /// The place of a model's weights, as the manifest of a backend in this folder gives it.
    init(of model: BackendManifest.Model, folder: String, owner: OwnerLimits) {
        guard let file = model.file else {
            self = .none
            return
        }
        do throws(SandboxPolicyError) {
            var places: [PlaceWithin] = []
            for file in model.paths(ofFilesAt: file) {
                places.append(try LaunchPlanner.weightsPlace(file, folder: folder, owner: owner))
            }
            self.init(places)
        } catch {
            self = .refused(error.description)
        }
    }

    /// The place of a model in a folder of models; links are followed.
    init(of model: BackendManifest.Model, inModelFolder path: String) {
        self.init(model.paths(ofFilesAt: path).map { PlaceWithin(root: $0, within: "") })
    }

    /// A process is handed no more files.
    private init(_ places: [PlaceWithin]) {
        let countMax = Int(LaunchPlan.Bounds.handedOnCountMax)
        self =
            places.count <= countMax
            ? .at(places)
            : .refused(
                "the model has \(places.count) files with all that its settings name, and at most \(countMax) are handed over; join its "
                    + "parts, with: llama-gguf-split --merge")
    }

    /// The files in their order; empty where the model has no weights, or where they may not lie there.
    var places: [PlaceWithin] { if case .at(let places) = self { places } else { [] } }

    /// The file, or the first part, that the weights are known by; nil as above.
    var place: PlaceWithin? { places.first }
}
