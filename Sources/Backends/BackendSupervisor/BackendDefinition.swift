internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import StrictJSON

/// One process that is to run: an executable with one of its models and its policy, told by what they mean. A manifest that
/// was only touched, or that another model was added to, and a policy with another comment, give the same definitions as
/// before.
struct BackendDefinition: Equatable, Sendable {
    /// The executable's file name.
    let name: String
    let path: String
    var executable: ExecutableVersion
    /// With this model alone.
    let manifest: BackendManifest
    /// What it is launched with; nil: what the policy's file says then.
    let policy: PolicyVersion?
    let model: BackendManifest.Model
    /// Where the model's weights lie.
    let weights: WeightsPlace
    /// SHA-256 of the only weights that are served; nil: whatever lies there.
    let pinnedDigest: [UInt8]?

    enum WeightsPlace: Hashable, Sendable {
        /// It has none.
        case none
        case at(PlaceWithin)
        /// They may not lie where its manifest says; a sentence with the remedy.
        case refused(String)
    }

    init(
        name: String, path: String, executable: ExecutableVersion, manifest: BackendManifest,
        policy: PolicyVersion? = nil, model: BackendManifest.Model, weights: WeightsPlace,
        pinnedDigest: [UInt8]? = nil
    ) {
        self.name = name
        self.path = path
        self.executable = executable
        var manifest = manifest
        manifest.models = [model]
        self.manifest = manifest
        self.policy = policy
        self.model = model
        self.weights = weights
        self.pinnedDigest = pinnedDigest
    }

    /// Whether a process of the one would be like a process of the other.
    func isSame(as other: BackendDefinition) -> Bool {
        name == other.name && path == other.path && manifest == other.manifest && weights == other.weights
            && pinnedDigest == other.pinnedDigest && executable.hasSameContent(as: other.executable)
            && hasSamePolicy(as: other)
    }

    /// The file that its owner touches to have it tried again.
    var retryPath: String { model.file == nil ? weights.place?.path ?? path : path }

    private func hasSamePolicy(as other: BackendDefinition) -> Bool {
        guard let policy, let theirs = other.policy else { return policy == other.policy }
        return policy.hasSameMeaning(as: theirs)
    }
}

/// Which content an executable has.
struct ExecutableVersion: Equatable, Sendable {
    let facts: FileFacts
    /// SHA-256; nil before it was read.
    var digest: [UInt8]?

    init(facts: FileFacts, digest: [UInt8]? = nil) {
        self.facts = facts
        self.digest = digest
    }

    /// Of an executable that could be opened as a backend, as far as can be seen without running it. Reads all of it unless
    /// its digest is known.
    init(path: String, digests: DigestCache) throws {
        let file = try BackendExecutable.checkedFile(path)
        digest = try FileDigest.sha256(file.descriptor, file.facts, path: path, digests: digests)
        facts = file.facts
    }

    func hasSameContent(as other: ExecutableVersion) -> Bool {
        facts == other.facts || (digest != nil && digest == other.digest)
    }
}

/// The files that a backend needs, as one look found them: when it failed, and one of these has changed since, it may not fail
/// again.
struct BackendFiles: Equatable, Sendable {
    let executable: FileFacts
    let manifest: FileFacts?
    var policy: FileFacts?
    var weights = WeightsLook.none
    /// Not a file of its own, but what it may have failed for.
    var host: HostSettings?
    /// Policy, weights and host were looked at.
    let isComplete: Bool

    init(executable: FileFacts, manifest: FileFacts?, isComplete: Bool = true) {
        self.executable = executable
        self.manifest = manifest
        self.isComplete = isComplete
    }
}

extension BackendDefinition.WeightsPlace {
    /// Of a model in the manifest of a backend of this folder.
    init(of model: BackendManifest.Model, folder: String, owner: OwnerLimits) {
        guard let file = model.file else {
            self = .none
            return
        }
        do throws(SandboxPolicyError) {
            self = .at(try LaunchPlanner.weightsPlace(file, folder: folder, owner: owner))
        } catch {
            self = .refused(error.description)
        }
    }

    /// Of a file in a folder of models: what its links lead to is what is served.
    init(inModelFolder path: String) { self = .at(PlaceWithin(root: path, within: "")) }

    /// Nil where there are none, or where they may not lie.
    var place: PlaceWithin? { if case .at(let place) = self { place } else { nil } }
}
