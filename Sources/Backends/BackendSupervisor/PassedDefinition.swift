internal import Cryptography
internal import EventLoop
internal import FoundationEssentials
internal import Glibc
internal import InferenceMessages
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy

/// What a process runs that passes from one agent to another.
struct PassedDefinition: Equatable {
    var path: String
    var executable: ExecutableVersion
    /// SHA-256 of the policy's file; nil: the policy is not known.
    var policyDigest: [UInt8]?
    /// SHA-256 of the words of everything else that its process depends on.
    var settingsDigest: [UInt8]
    /// As its inspection has asked for; nil: there was none.
    var memoryMebibytes: UInt64?
    var weights: [WeightsFile] = []

    struct WeightsFile: Equatable {
        var place: PlaceWithin
        var facts: FileFacts
        var digest: [UInt8]
    }

    @IOLoop
    init(_ definition: BackendDefinition, memoryMebibytes: UInt64?, weights: ModelWeights?, setting: BackendSetting) {
        path = definition.path
        executable = definition.executable
        policyDigest = definition.policy?.digest
        let configuration = setting.configuration
        let layers = configuration.host.layers(of: configuration.tier).names
        let words = [definition.manifest, configuration.owner, configuration.tier.rawValue, layers] as [Any]
        settingsDigest = Array(ValueWords.of(words).utf8).withUnsafeBytes(SHA256.digest)
        self.memoryMebibytes = memoryMebibytes
        self.weights = (weights?.files ?? []).map { WeightsFile(place: $0.place, facts: $0.facts, digest: $0.digest) }
    }

    /// What this agent would run otherwise, as the end of a sentence; nil: it would run just the same.
    @IOLoop
    func difference(from definition: BackendDefinition, setting: BackendSetting) -> String? {
        let own = PassedDefinition(definition, memoryMebibytes: nil, weights: nil, setting: setting)
        if path != own.path || !executable.hasSameContent(as: own.executable) { return "its executable is another one" }
        if policyDigest != own.policyDigest { return "its policy is another one" }
        if settingsDigest != own.settingsDigest { return "its settings, or those of its sandbox, are others" }
        if weights.map(\.place) != definition.weights.places { return "its weights are others" }
        return nil
    }
}

// Its message.
extension PassedDefinition {
    init(_ message: Hearth_Handover_V1_Definition) {
        path = message.path
        executable = ExecutableVersion(
            facts: FileFacts(message.executable),
            interpreter: message.hasInterpreter ? FileFacts(message.interpreter) : nil,
            digest: message.executableDigest.isEmpty ? nil : Array(message.executableDigest))
        policyDigest = message.policyDigest.isEmpty ? nil : Array(message.policyDigest)
        settingsDigest = Array(message.settingsDigest)
        memoryMebibytes = message.hasMemoryMebibytes ? message.memoryMebibytes : nil
        weights = message.weights.map {
            WeightsFile(
                place: PlaceWithin(root: $0.root, within: $0.within), facts: FileFacts($0.facts),
                digest: Array($0.digest))
        }
    }

    var message: Hearth_Handover_V1_Definition {
        var message = Hearth_Handover_V1_Definition()
        message.path = path
        message.executable = executable.facts.message
        message.executableDigest = .init(executable.digest ?? [])
        if let interpreter = executable.interpreter { message.interpreter = interpreter.message }
        message.policyDigest = .init(policyDigest ?? [])
        message.settingsDigest = .init(settingsDigest)
        if let memoryMebibytes { message.memoryMebibytes = memoryMebibytes }
        message.weights = weights.map { file in
            var message = Hearth_Handover_V1_WeightsFile()
            message.root = file.place.root
            message.within = file.place.within
            message.facts = file.facts.message
            message.digest = .init(file.digest)
            return message
        }
        return message
    }
}

extension FileFacts {
    private static let kinds: [(kind: Kind, mode: UInt32)] = [
        (.regular, UInt32(S_IFREG)), (.folder, UInt32(S_IFDIR)), (.symbolicLink, UInt32(S_IFLNK)),
        (.characterDevice, UInt32(S_IFCHR)),
    ]

    fileprivate init(_ message: Hearth_Handover_V1_FileFacts) {
        let kind = Self.kinds.first { $0.mode == message.mode & UInt32(S_IFMT) }?.kind
        self.init(
            kind: kind ?? .other, permissions: message.mode & 0o7777, owner: message.owner, group: message.group,
            device: message.device, inode: message.inode, byteCount: message.byteCount,
            modifiedNanoseconds: message.modifiedNanoseconds, changedNanoseconds: message.changedNanoseconds)
    }

    fileprivate var message: Hearth_Handover_V1_FileFacts {
        var message = Hearth_Handover_V1_FileFacts()
        message.mode = permissions | (Self.kinds.first { $0.kind == kind }?.mode ?? 0)
        message.owner = owner
        message.group = group
        message.device = device
        message.inode = inode
        message.byteCount = byteCount
        message.modifiedNanoseconds = modifiedNanoseconds
        message.changedNanoseconds = changedNanoseconds
        return message
    }
}
