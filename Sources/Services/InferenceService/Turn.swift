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
    private var state: TurnState
    private let service: InferenceService
    /// The call that reads the turn's events, the last event that it was given, and the bytes that it was told to count
    /// of the rest.
    let call: ServerCall
    private var givenSeq: UInt64 = 0
    /// Of a turn that can be resumed: who reads it. `call` is the one that began it, then.
    private let resumption: Resumption?
    private var countedBytes = 0
    /// The request as the backend gets it; empty once no process will need it any more.
    private var encoded: [UInt8]
    /// What computes it, and how far the tool calls of the choices that another process goes on with had come.
    private var identity: ManagedBackend.Identity?
    /// What computed it under the agent that has passed it on; nil: nothing, or this agent knows more.
    private var passedIdentity: [UInt8]?
    private var toolCalls: [Int: ToolCallProgress] = [:]
    private weak var process: ManagedBackend?
    /// The bounds that the request sets for its completion.
    private let bounds: SequenceBounds
    /// What the request needs of its backend.
    private let needs: [CapabilityTable.Row]
    /// The longest time to wait for a sequence; nil: no limit.
    private let queueTime: TurnRequest.Duration?
    /// How long its model is kept after the turn; nil: as its owner says.
    private let keepAliveSeconds: UInt32?
    private let ended: @IOLoop (TurnState.Ending) -> Void
    /// The sequences of its choices; nil of one that has not begun, was cancelled, or has ended. The first one is apart
    /// because most turns have no other.
    private var sequence: RunningSequence?
    private var otherSequences: [RunningSequence?]
    /// The seed of the first choice; nil: a random one for each.
    private let seed: UInt64?
    /// The consumer whose tokens of the minute the turn uses up; nil: they are not counted.
    private let consumer: Consumer?
    /// Set while the consumer's tokens of this minute are used up.
    private var budgetTimer: Timer?
    private var queueTimer: Timer?
    /// What its spans are made of at its end; nil: it is not traced.
    private var trace: TurnTrace?

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
    private var reader: ServerCall? { resumption == nil ? call : resumption?.call }

    /// For an absent consumer the turn goes on as far as there is room to keep it, and then stands still as that of a
    /// consumer that does not read.
    private var isCongested: Bool {
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
    private func request(of choice: Int) -> [UInt8] {
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

    private func set(_ sequence: RunningSequence?, of choice: Int) {
        if choice == 0 { self.sequence = sequence } else { otherSequences[choice - 1] = sequence }
    }
}

// MARK: - The backend's side

extension Turn {
    func received(_ run: TokenRunView) {
        let now = Monotonic.awake()
        let actions = state.came(run, choice: 0, at: now)
        passOnToCall()
        perform(actions)
        goOnForCall(choice: 0, at: now)
    }

    func finished(_ finish: Finish) { finished(finish, choice: 0) }

    func lost(_ loss: SequenceLoss) { lost(loss, choice: 0) }

    private func received(_ run: TokenRunView, choice: Int) {
        let now = Monotonic.awake()
        let actions = state.came(run, choice: choice, at: now)
        passOn()
        perform(actions)
        goOn(choice: choice, at: now)
    }

    private func finished(_ finish: Finish, choice: Int) {
        set(nil, of: choice)
        let actions = state.finished(finish, choice: choice, at: .awake())
        // Of the last choice the events go with the end.
        if actions.ending == nil { passOn() }
        perform(actions)
    }

    private func lost(_ loss: SequenceLoss, choice: Int) {
        set(nil, of: choice)
        trace?.note(.backendLost, at: .awake())
        let wasSuspect = isSuspect
        let actions = state.lost(
            choice: choice,
            .init(status: service.lost(model: model), isFailure: loss.isFailure, wasAlone: loss.wasAlone), at: .awake())
        if isInterrupted {
            toolCalls[choice] = loss.toolCalls
            service.interrupted(self)
        } else if wasSuspect, case .failed(let status) = actions.ending, status.code == .internalError {
            process?.blame(theRequest: loss.reason, trace: logMetadata)
        }
        if actions.ending == nil { passOn() }
        perform(actions)
    }

    /// Passes on what the backend sends of another choice than the first, or of a turn that can be resumed: apart from most
    /// turns, whose tokens need not know of either.
    @IOLoop
    private final class OtherChoice: SequenceHandler {
        private let choice: Int
        private let turn: Turn

        init(_ choice: Int, of turn: Turn) {
            self.choice = choice
            self.turn = turn
        }

        func received(_ run: TokenRunView) { turn.received(run, choice: choice) }

        func finished(_ finish: Finish) { turn.finished(finish, choice: choice) }

        func lost(_ loss: SequenceLoss) { turn.lost(loss, choice: choice) }
    }
}

// MARK: - The consumer's side

extension Turn {
    /// The consumer's `Cancel`: `Finished` and `Usage` follow.
    func cancel() {
        let actions = state.cancel(at: .awake())
        if actions.ending == nil { passOn() }
        perform(actions)
    }

    /// The call is gone: stops the computation and sends nothing more.
    func abandon() { perform(state.abandon()) }

    /// Ends the turn with this status.
    func fail(_ status: Status) { perform(state.fail(status)) }

    /// The consumer has read enough of what was waiting for it.
    func sendBufferDrained() {
        passOn()
        goOnWithAll(at: .awake())
    }

    /// Gives the call as many of the events as it takes now, or all.
    private func passOn(all: Bool = false) {
        guard let resumption else { return passOnToCall(all: all) }
        if resumption.writing != nil { writeDown() }
        if let call = resumption.call {
            let room = all ? Int.max : call.roomBytes
            state.take(byteCount: room, keepsSent: resumption.hasRoom) { call.send(prefixed: $0) }
        }
        resumption.keeps(state.ring.byteCount + encoded.count, unsent: state.unsentBytes)
    }

    @inline(__always)
    private func passOnToCall(all: Bool = false) {
        let room = all ? Int.max : call.roomBytes
        let call = call
        if room > 0 { givenSeq = state.take(after: givenSeq, byteCount: room) { call.send(prefixed: $0) } }
        let kept = state.ring.byteCount
        guard kept != countedBytes else { return }
        countedBytes = kept
        call.keepForClient(kept)
    }

    private func goOnWithAll(at now: Monotonic) {
        goOn(choice: 0, at: now)
        for index in otherSequences.indices { goOn(choice: index + 1, at: now) }
    }

    /// Lets the backend compute as far ahead as the limit says, unless the consumer lags or its minute is used up.
    private func goOn(choice: Int, at now: Monotonic) {
        guard let resumption else { return goOnForCall(choice: choice, at: now) }
        let wanted = state.wanted(
            choice: choice, isCongested: isCongested, takenBytes: reader?.takenBytes ?? 0, at: now)
        if resumption.call != nil || resumption.hasRoom { grant(wanted, choice: choice) }
    }

    @inline(__always)
    private func goOnForCall(choice: Int, at now: Monotonic) {
        grant(
            state.wanted(choice: choice, isCongested: call.isCongested, takenBytes: call.takenBytes, at: now),
            choice: choice)
    }

    @inline(__always)
    private func grant(_ wanted: UInt32, choice: Int) {
        guard wanted > 0, let sequence = choice == 0 ? sequence : otherSequences[choice - 1] else { return }
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        state.granted(tokens, choice: choice)
        if tokens > 0 { sequence.grant(tokens: tokens) }
        if state.hasNoCredit(choice: choice) { waitForBudget() }
    }

    private func waitForBudget() {
        guard budgetTimer == nil, let consumer else { return }
        budgetTimer = IOLoop.schedule(afterMilliseconds: max(consumer.millisecondsUntilTokens, 100)) { [weak self] in
            guard let self else { return }
            budgetTimer = nil
            goOnWithAll(at: .awake())
        }
    }
}

// MARK: - Actions

extension Turn {
    @inline(__always)
    private func perform(_ actions: TurnState.Actions) {
        if !actions.isEmpty { performAll(actions) }
    }

    @inline(never)
    private func performAll(_ actions: TurnState.Actions) {
        for choice in actions.cancels {
            (choice == 0 ? sequence : otherSequences[choice - 1])?.cancel()
            set(nil, of: choice)
        }
        if actions.givenBack > 0 { consumer?.giveBack(actions.givenBack) }
        if actions.charged > 0 { consumer?.charge(actions.charged) }
        if let ending = actions.ending { end(ending) }
    }

    private func end(_ ending: TurnState.Ending) {
        queueTimer?.cancel()
        queueTimer = nil
        budgetTimer?.cancel()
        budgetTimer = nil
        encoded = []
        toolCalls = [:]
        reader?.keep(0)
        if resumption?.writing != nil { writeDown(ending) }
        // The events that are left have a bound, and the stream has room for them: they go before the status or the
        // next turn. Of a turn that failed before its consumer heard anything, the status says all.
        if ending != .abandoned, !(ending.isFailure && !isHeardOf && tokensSent == 0) { passOn(all: true) }
        sequence = nil
        // Their handlers may still be told of tokens and ends.
        for index in otherSequences.indices { otherSequences[index] = nil }
        consumer?.end(choices: 1 + otherSequences.count)
        if let trace, let tracer = service.tracer {
            tracer.take(trace.spans(state.times, state.figures, ending, server: tracer.server, clock: .now()))
        }
        service.ended(self, ending)
        if let resumption {
            resumption.ended(ending, isHeardOf: isHeardOf)
        } else if ending != .abandoned {
            ended(ending)
        }
    }

    /// Whether the consumer was sent an event.
    private var isHeardOf: Bool { givenSeq > 0 || state.reader?.furthestSeq ?? 0 > 0 }
}

// MARK: - A consumer that may come back

extension Turn {
    /// The SHA-256 of its token; nil: it cannot be resumed.
    var resumptionDigest: [UInt8]? { resumption?.key.digest }

    /// Whether no call reads the turn, which goes on.
    var isAbsent: Bool { !isOver && reader == nil }

    /// The call that read the turn is gone, and its consumer may come back, if it asked for that: the turn goes on
    /// meanwhile. Otherwise as `abandon`.
    func isLeft() {
        guard let resumption, isHeardOf, resumption.isLeft() else { return abandon() }
        goOnWithAll(at: .awake())
    }

    /// Another turn needs its room in memory that outlives this process. Returns false where it has none.
    func giveUpWriting() -> Bool { resumption?.giveUpWriting() == true }

    /// Nobody comes back, or nobody may.
    func isGivenUp() {
        if isOver { resumption?.forget() } else { abandon() }
    }

    /// Another call reads on behind the event `after`. Throws why it cannot.
    func resume(
        after seq: UInt64, isCancel: Bool, by reader: Resumption.Reader
    ) throws(InferenceService.Resumables.Refusal) {
        guard let resumption else { throw .unknown }
        do throws(TurnReader.Refusal) {
            try state.resume(after: seq)
        } catch {
            throw .reader(error)
        }
        resumption.read(by: reader)
        reader.call.keep(encoded.count)
        passOn(all: isOver)
        if isOver {
            if state.isAcknowledged { resumption.forget() }
            resumption.finishReading()
        } else if isCancel {
            cancel()
        }
        goOnWithAll(at: .awake())
    }

    /// The consumer has all events up to this one; nil: all that it was sent. Throws why that cannot be.
    func acknowledge(_ seq: UInt64? = nil) throws(TurnReader.Refusal) {
        guard let resumption, let sent = state.reader?.sentSeq else { return }
        try state.acknowledge(seq ?? sent)
        resumption.keeps(state.ring.byteCount + encoded.count, unsent: state.unsentBytes)
        if state.isAcknowledged { resumption.forget() }
    }
}

// MARK: - Another agent goes on

extension Turn {
    /// The turn as it stands, for another agent: nothing comes of it here any more. Nil where it has ended instead, because
    /// nothing could go on with it.
    func leave() -> TurnRecord? {
        if !isOver {
            perform(state.settle(model: model, at: .awake()))
            if isOver { return nil }
        }
        let record = record
        guard !isOver else {
            resumption?.leave()
            return record
        }
        // Whether or not anybody counts them.
        let givenBack = state.leave()
        consumer?.giveBack(givenBack)
        consumer?.end(choices: 1 + otherSequences.count)
        queueTimer?.cancel()
        budgetTimer?.cancel()
        sequence = nil
        for index in otherSequences.indices { otherSequences[index] = nil }
        reader?.keep(0)
        reader?.keepForClient(0)
        resumption?.leave()
        return record
    }

    /// What has computed it, for another agent; nil: nothing has.
    private var computer: [UInt8]? { passedIdentity ?? identity.map(service.passed) }

    /// The turn as it stands.
    private var record: TurnRecord {
        var record = state.record
        record.model = model
        if !isOver { record.request = Data(encoded) }
        if let computer { record.backend = Data(computer) }
        if let resumption {
            record.resumption.tokenSha256 = Data(resumption.key.digest)
            record.resumption.milliseconds = resumption.milliseconds
            if let ending = resumption.ending { record.ending = .init(ending) }
        }
        if let trace { record.trace = .init(trace.place) }
        return record
    }

    /// What has changed is written down, before its consumer is told.
    private func writeDown(_ ending: TurnState.Ending? = nil) {
        resumption?.writing?.write(state, backend: computer, ending: ending) {
            var record = record
            // What the consumer has of it is not known afterwards.
            record.resumption.clearSentSeq()
            record.resumption.clearFurthestSeq()
            record.resumption.caller = PassedCaller.caller(of: call, over: nil)
            return record
        }
    }

    /// Its model's queue has it again, under this agent.
    func goesOn() {
        reader?.keep(encoded.count)
        perform(state.settleCancelled(at: .awake()))
        passOn(all: isOver)
        if isOver { resumption?.finishReading() }
    }
}

extension SpanPlace {
    fileprivate init(_ record: Hearth_Handover_V1_Trace) {
        self.init(
            traceID: [UInt8](record.traceID), id: [UInt8](record.spanID), parentID: [UInt8](record.parentID),
            state: record.state)
    }
}

extension Hearth_Handover_V1_Trace {
    fileprivate init(_ place: SpanPlace) {
        self.init()
        traceID = Data(place.traceID)
        spanID = Data(place.id)
        parentID = Data(place.parentID)
        state = place.state
    }
}
