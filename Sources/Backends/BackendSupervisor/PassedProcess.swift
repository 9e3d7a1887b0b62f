internal import InferenceMessages
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy
internal import SwiftProtobuf

/// A process that another agent has passed on: its message as far as it is understood, and the process, which lives on with
/// it or is ended by its owner.
struct PassedProcess {
    /// The revision of what is passed on (`Backend.version`).
    static let revision: UInt32 = 1

    let id: BackendCatalog.Process
    let handles: SandboxedProcess
    private let message: Hearth_Handover_V1_Backend
    private let weights: [ModelFile]
    /// The key by which a holder keeps it; 0: none does.
    let key: UInt64
    /// What its agent has left of the framing; nil: the message tells it.
    private let framing: Framing?

    private enum Framing {
        case known(unread: [UInt8], embeds: Set<UInt32>)
        case unknown
    }

    /// Takes the descriptors. Nil where there are too few of them.
    init?(_ passed: PassedBackend) {
        message = (try? Hearth_Handover_V1_Backend(serializedBytes: passed.bytes)) ?? Hearth_Handover_V1_Backend()
        var descriptors = passed.take()[...]
        guard descriptors.count >= PassedBackend.Place.allCases.count else {
            // They are closed with it.
            _ = PassedBackend(bytes: [], owning: Array(descriptors))
            return nil
        }
        func next() -> Descriptor { Descriptor(owning: descriptors.removeFirst()) }
        handles = SandboxedProcess(
            foreign: message.processID, owning: next(), socket: next(), keeper: next(), log: next(),
            controlGroup: message.controlGroup.isEmpty ? nil : message.controlGroup)
        id = BackendCatalog.Process(
            backend: BackendCatalog.Key(name: message.name, model: message.model), number: Int(message.number))
        var weights: [ModelFile] = []
        for file in PassedDefinition(message.definition).weights where !descriptors.isEmpty {
            weights.append(
                ModelFile(owning: next(), facts: file.facts, digest: file.digest, place: file.place))
        }
        self.weights = weights
        key = passed.heldAs ?? 0
        if descriptors.isEmpty {
            framing = nil
        } else {
            let memory = next()
            framing = SharedFraming.left(in: memory).map(Framing.known) ?? .unknown
            // This agent may die before it has told its own holder more of the process.
            SharedFraming.outdate(memory)
        }
        _ = PassedBackend(bytes: [], owning: Array(descriptors))
    }

    var definition: PassedDefinition { PassedDefinition(message.definition) }

    /// Whether its model is yet to be loaded.
    var isLoading: Bool { message.hasLoading }

    func conversation() throws -> PassedConversation {
        var conversation = try PassedConversation(message.conversation)
        guard conversation.loaded.isEmpty == isLoading else {
            throw SupervisorError("it is not told whether it has loaded its model")
        }
        switch framing {
        case nil: break
        case .known(let unread, let embeds):
            conversation.unread = unread
            conversation.embeds = embeds
        case .unknown: throw SupervisorError("its agent ended in the middle of a message")
        }
        return conversation
    }

    /// Its open weights; nil: it has none.
    func weights(of model: BackendManifest.Model) -> ModelWeights? {
        weights.isEmpty ? nil : ModelWeights(weights, of: model)
    }

    /// Why no agent goes on with it, as the end of a sentence; nil: one may.
    var obstacle: String? {
        if message.version != Self.revision {
            return "it is passed on in revision \(message.version), and this agent knows \(Self.revision)"
        }
        if message.isDraining { return "it was to end" }
        if weights.count != message.definition.weights.count { return "the files of its weights are missing" }
        return nil
    }

    var keeper: KeeperConversation {
        let unanswered = message.keeper.unanswered.compactMap { KeeperCommand(rawValue: UInt8(clamping: $0)) }
        return KeeperConversation(
            hasStarted: message.keeper.isRunning, isFrozen: message.keeper.isFrozen,
            unanswered: unanswered + (key == 0 ? [] : [.freeze]))
    }

    func standing(at now: Monotonic) -> BackendLifecycle.Inherited {
        var standing = BackendLifecycle.Inherited(
            readySince: Monotonic(nanoseconds: message.readySinceNanoseconds), restarts: message.restarts,
            lossesInARow: Int(message.lossesInARow), isFrozen: keeper.isFrozen)
        if isLoading {
            standing.load = BackendLifecycle.Load(
                since: now.earlier(nanoseconds: message.loading.nanoseconds),
                until: now.advanced(nanoseconds: message.loading.nanosecondsLeft),
                percent: Int(min(message.loading.percent, 100)), messages: message.loading.messages)
        }
        return standing
    }

    var lastUsed: Monotonic { Monotonic(nanoseconds: message.lastUsedNanoseconds) }
    /// How long its model is kept if no request comes; `.max`: for ever; nil: that has yet to be decided.
    var keepMilliseconds: UInt64? { message.hasKeepMilliseconds ? message.keepMilliseconds : nil }

    var log: [BackendLog.Line] {
        message.log.map { BackendLog.Line(pid: $0.processID, milliseconds: $0.milliseconds, text: $0.text) }
    }
}
