internal import BackendIPC
internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import Logging
internal import SandboxPolicy
internal import SwiftProtobuf
internal import TraceExport
internal import WireFormat

internal import struct Foundation.Data

/// Runs one turn: reports to `TurnState` what its consumer, its backend and the clock do, and does what it returns.
///
/// Owned by the call's handler and, while it waits or runs, by its model's queue or its backend's connection.
@IOLoop
final class Turn: SequenceHandler, QueuedRequest {
    let model: String
    nonisolated let claim: QueueClaim
    /// Tells it from all others of this agent.
    let number: UInt64
    var state: TurnState
    let service: InferenceService
    /// The call that reads the turn's events, the last event that it was given, and the bytes that it was told to count
    /// of the rest.
    let call: ServerCall
    var givenSeq: UInt64 = 0
    /// Of a turn that can be resumed: who reads it. `call` is the one that began it, then.
    let resumption: Resumption?
    var countedBytes = 0
    /// The request as the backend gets it; empty once no process will need it any more.
    var encoded: [UInt8]
    /// What computes it, and how far the tool calls of the choices that another process goes on with had come.
    var identity: ManagedBackend.Identity?
    /// What computed it under the agent that has passed it on; nil: nothing, or this agent knows more.
    var passedIdentity: [UInt8]?
    var toolCalls: [Int: ToolCallProgress] = [:]
    weak var process: ManagedBackend?
    /// The bounds that the request sets for its completion.
    private let bounds: SequenceBounds
    /// What the request needs of its backend.
    let needs: [CapabilityTable.Row]
    /// The longest time to wait for a sequence; nil: no limit.
    private let queueTime: TurnRequest.Duration?
    /// How long its model is kept after the turn; nil: as its owner says.
    private let keepAliveSeconds: UInt32?
    let ended: @IOLoop (TurnState.Ending) -> Void
    /// The sequences of its choices; nil of one that has not begun, was cancelled, or has ended. The first one is apart
    /// because most turns have no other.
    var sequence: RunningSequence?
    var otherSequences: [RunningSequence?]
    /// The seed of the first choice; nil: a random one for each.
    private let seed: UInt64?
    /// The consumer whose tokens of the minute the turn uses up; nil: they are not counted.
    let consumer: Consumer?
    /// Set while the consumer's tokens of this minute are used up.
    var budgetTimer: Timer?
    var queueTimer: Timer?
    /// What its spans are made of at its end; nil: it is not traced.
    var trace: TurnTrace?

    /// `encoded` is the request as its backend gets it. `ended` is called at the turn's end, unless it was abandoned.
    init(
        _ request: TurnRequest, encoded: [UInt8], model: String, claim: QueueClaim, call: ServerCall,
        service: InferenceService, ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) {
        self.encoded = encoded
        self.model = model
        self.claim = claim
        self.call = call
        self.service = service
        self.ended = ended
        number = service.nextTurnNumber()
        bounds = request.bounds
        needs = CapabilityTable.rows(of: request)
        queueTime = request.queueTime
        keepAliveSeconds = request.keepAlive?.wholeSeconds
        seed = request.sampling.seed
        otherSequences = Array(repeating: nil, count: request.choiceCount - 1)
        let limits = service.limits
        let creditTokens = TurnCredit.most(limits, logprobs: request.logprobs, choices: request.choiceCount)
        let consumer = call.caller as? Consumer
        self.consumer = consumer
        let token = request.resumableMilliseconds.map { _ in InferenceService.Resumables.token() }
        resumption = token.map {
            Resumption(
                .init(call: call, ended: ended), InferenceService.Resumables.key(of: $0),
                milliseconds: request.resumableMilliseconds ?? 0, service: service)
        }
        state = TurnState(
            request, model: model,
            creditTokens: consumer?.creditTokens(atMost: creditTokens) ?? creditTokens, limits: limits,
            arrived: .awake())
        if let resumption, let token {
            state.makeResumable(token: token, milliseconds: resumption.milliseconds, limits: limits)
            resumption.begin(self, byteCount: encoded.count)
        }
        if let tracer = service.tracer, let place = tracer.begin(call.metadata) {
            trace = TurnTrace(place, request, model: model, path: call.path, eventsMax: tracer.eventsMax)
        }
    }

    /// Goes on with a turn that another agent has passed on. `encoded` is its request. Nil where it is none that a turn of this
    /// request can be.
    init?(
        _ record: TurnRecord, _ request: TurnRequest, claim: QueueClaim, call: ServerCall, isAbsent: Bool,
        service: InferenceService, ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) {
        let limits = service.limits
        let creditTokens = TurnCredit.most(limits, logprobs: request.logprobs, choices: request.choiceCount)
        let consumer = call.caller as? Consumer
        let state = TurnState(
            record, of: request, creditTokens: consumer?.creditTokens(atMost: creditTokens) ?? creditTokens,
            limits: limits)
        guard let state else { return nil }
        self.state = state
        self.consumer = consumer
        encoded = [UInt8](record.request)
        model = record.model
        self.claim = claim
        self.call = call
        self.service = service
        self.ended = ended
        number = service.nextTurnNumber()
        bounds = request.bounds
        needs = CapabilityTable.rows(of: request)
        queueTime = request.queueTime
        keepAliveSeconds = request.keepAlive?.wholeSeconds
        seed = request.sampling.seed
        otherSequences = Array(repeating: nil, count: request.choiceCount - 1)
        givenSeq = state.ring.releasedSeq
        passedIdentity = record.backend.isEmpty ? nil : [UInt8](record.backend)
        resumption =
            record.hasResumption
            ? Resumption(
                .init(call: call, ended: ended), .init(digest: [UInt8](record.resumption.tokenSha256)),
                milliseconds: record.resumption.milliseconds, service: service) : nil
        consumer?.goesOn(choices: request.choiceCount)
        resumption?.begin(self, byteCount: encoded.count)
        if let tracer = service.tracer, record.hasTrace {
            trace = TurnTrace(
                SpanPlace(record.trace), request, model: model, path: call.path, eventsMax: tracer.eventsMax)
        }
        if state.phase == .over {
            consumer?.end(choices: request.choiceCount)
            resumption?.goesOn(
                endedBy: record.ending.ending, isSettled: state.reader?.furthestSeq == state.ring.lastSeq)
        }
        if isAbsent { _ = resumption?.isLeft() }
    }

    /// What lines of the log that belong to it say of its trace: its own span, or that of its caller.
    var logMetadata: Logger.Metadata {
        if let trace { return trace.logMetadata }
        return TraceContext(call.metadata).map { Logger.Metadata(traceID: $0.traceID, spanID: $0.spanID) } ?? [:]
    }

    var isOver: Bool { state.phase == .over }

    /// Whether a choice of it was begun.
    var hasBegun: Bool { state.phase == .running }

    /// Whether a choice of it waits for a sequence.
    var wantsSequence: Bool { state.nextChoice != nil }

    /// Whether a choice of it was begun, and goes on once there is a sequence.
    var isInterrupted: Bool { state.isInterrupted }

    /// How often in a row a process has failed soon after it began the turn; a suspect is tried alone.
    var failures: Int { state.failures }
    var isSuspect: Bool { state.isSuspect }
    var isTrialOver: Bool { state.isTrialOver }

    /// The number of tokens that its deltas have sent.
    var tokensSent: UInt32 { state.tokensSent }

    /// Since when the consumer has left more unread than lets the turn go on; nil while it has not.
    func unreadSince(at now: Monotonic) -> Monotonic? {
        state.unreadSince(isCongested: isCongested, takenBytes: reader?.takenBytes ?? 0, at: now)
    }

    /// Has the consumer's library report what was read.
    func askWhatWasRead() { reader?.askForWindow() }

    /// The call that reads the turn; nil while its consumer is absent.
    var reader: ServerCall? { resumption == nil ? call : resumption?.call }

    /// For an absent consumer the turn goes on as far as there is room to keep it, and then stands still as that of a
    /// consumer that does not read.
    var isCongested: Bool {
        reader?.isCongested ?? (state.ring.isHalfFull || resumption?.hasRoom == false)
    }

    /// What its owner is told of it.
    func listed(_ standing: ListedTurn.Standing, over bridged: Server, at now: Monotonic) -> ListedTurn {
        ListedTurn(
            number: number, task: .generate, caller: .of(call, over: bridged), model: model, standing: standing,
            priority: claim.priority, choices: claim.sequences, promptTokens: state.promptTokens, tokens: tokensSent,
            ageMilliseconds: now.since(state.arrived) / 1_000_000,
            runningMilliseconds: state.begun.map { now.since($0) / 1_000_000 }, isAbsent: isAbsent)
    }
}

// MARK: - Waiting

extension Turn {
    /// It waits in its model's queue.
    func waits() {
        reader?.keep(encoded.count)
        // Its consumer has to know at once how to come back.
        if resumption != nil { passOn() }
    }

    /// Tells the consumer its position, the loaded fraction of its model, from 0 to 1, while it is not loaded, and how long
    /// it waits, where that is known.
    func queued(position: Int, loaded: Float?, waitMilliseconds: UInt64?) {
        state.queued(position: position, loaded: loaded, waitMilliseconds: waitMilliseconds)
        passOn()
    }

    /// Tells the consumer that the turn stands still; nil: that it goes on.
    func tell(ofPause pause: OwnerHold.Pause?) {
        let actions: TurnState.Actions
        trace?.note(pause == nil ? .resumed : .paused, at: .awake())
        if pause == nil {
            actions = state.resumed()
        } else {
            state.paused(.owner, "the owner of this host uses the machine, and the turn goes on later")
            actions = .init()
        }
        passOn()
        perform(actions)
    }

    /// Tells the consumer why nothing came for so long, and that it goes on.
    func tellOfSleep(seconds: UInt64) {
        trace?.note(.hostAsleep, at: .awake())
        state.paused(.hostAsleep, "this host slept for \(seconds) s")
        let actions = state.resumed()
        passOn()
        perform(actions)
    }

    /// Ends the wait after `max_queue_time`, if the request has one.
    func limitWait(_ timeIsOver: @escaping @IOLoop (Turn) -> Void) {
        guard let queueTime else { return }
        let waited = Monotonic.awake().since(state.arrived) / 1_000_000
        let left = queueTime.milliseconds - min(waited, queueTime.milliseconds)
        queueTimer = IOLoop.schedule(afterMilliseconds: left) { [weak self] in
            if let self { timeIsOver(self) }
        }
    }

    /// Names the callers that may share what is computed for it.
    var cacheScope: [UInt8] { service.cacheScope(of: call) }

    /// Takes a free sequence of the backend for its next choice; returns false if there is none. A backend that lacks what
    /// the request needs does not see it: the turn is over then.
    func begin(on backend: ManagedBackend) -> Bool {
        guard let choice = state.nextChoice else { return true }
        do throws(Status) {
            try CapabilityTable.check(completion: needs, backend.capabilities, model: model)
        } catch {
            fail(error)
            return true
        }
        let identity = backend.identity
        guard !state.isInterrupted || isSame(as: identity) else {
            fail(StatusMapping.changed(model: model))
            return true
        }
        let now = Monotonic.awake()
        // Without credit it begins too, and computes once the minute, or the stream, has room again.
        let wanted = state.wanted(
            choice: choice, isCongested: isCongested, takenBytes: reader?.takenBytes ?? 0, at: now)
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        guard
            let sequence = backend.begin(
                request: request(of: choice), bounds: bounds, credit: tokens, cacheScope: cacheScope,
                continuation: continuation(of: choice), keepAliveSeconds: keepAliveSeconds,
                handler: choice == 0 && resumption == nil ? self : OtherChoice(choice, of: self))
        else {
            consumer?.giveBack(tokens)
            return false
        }
        set(sequence, of: choice)
        queueTimer?.cancel()
        if state.isInterrupted { trace?.note(.resumed, at: now) }
        trace?.began(onProcessReadySince: backend.readySince)
        let actions = state.begun(
            .with {
                $0.modelDigest = Data(backend.modelDigest)
                $0.backend = backend.version
                $0.sandboxTier = backend.tier
                $0.residualRisks = backend.residualRisks.map(\.line)
            }, matchesStops: backend.matchesStops, canContinue: identity.canContinue, granted: tokens, at: now)
        self.identity = identity
        passedIdentity = nil
        process = backend
        toolCalls[choice] = nil
        if !wantsSequence, !identity.canContinue {
            encoded = []
            reader?.keep(0)
        }
        // With the first text, unless the consumer wants to hear of it before: until then the call has no response
        // headers, and a client's retry policy may send the request again.
        if claim.wantsPlace || givenSeq > 0 || resumption != nil { passOn() }
        if wanted > 0, state.hasNoCredit(choice: choice) { waitForBudget() }
        perform(actions)
        return true
    }

    /// Whether this is what has computed the turn so far.
    private func isSame(as identity: ManagedBackend.Identity) -> Bool {
        if let passedIdentity { return identity.isSame(as: passedIdentity) }
        return self.identity?.isSame(as: identity) == true
    }

    /// What was computed of this choice; nil: nothing, it begins.
    private func continuation(of choice: Int) -> Continuation? {
        guard let tokens = state.continuation, !tokens.isEmpty else { return nil }
        return try? Continuation(packedTokenIDs: tokens, toolCalls: toolCalls[choice] ?? ToolCallProgress())
    }

    /// The request as the backend gets it for this choice: the seed counts up, so that each is another answer.
    func request(of choice: Int) -> [UInt8] {
        guard choice > 0, let seed else { return encoded }
        let chosen = seed &+ UInt64(choice)
        // A field that comes again is merged (protobuf.dev, "Encoding"): `sampling = 6 { seed = 8 }`.
        let sampling = WireSize.field(8, varint: chosen)
        let byteCount = WireSize.field(6, byteCount: sampling)
        return encoded
            + [UInt8](unsafeUninitializedCapacity: byteCount) { memory, count in
                var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
                writer.field(6, byteCount: sampling)
                writer.field(8, varint: chosen)
                count = byteCount
            }
    }

    func set(_ sequence: RunningSequence?, of choice: Int) {
        if choice == 0 { self.sequence = sequence } else { otherSequences[choice - 1] = sequence }
    }
}
