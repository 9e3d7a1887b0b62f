internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy

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

    init(
        name: String, path: String, executable: ExecutableVersion, manifest: BackendManifest,
        policy: PolicyVersion? = nil, model: BackendManifest.Model
    ) {
        self.name = name
        self.path = path
        self.executable = executable
        var manifest = manifest
        manifest.models = [model]
        self.manifest = manifest
        self.policy = policy
        self.model = model
    }

    /// Whether a process of the one would be like a process of the other.
    func isSame(as other: BackendDefinition) -> Bool {
        name == other.name && path == other.path && manifest == other.manifest
            && executable.hasSameContent(as: other.executable) && hasSamePolicy(as: other)
    }

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
