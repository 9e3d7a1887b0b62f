internal import BackendIPC
internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SandboxPolicy
internal import SwiftProtobuf

internal import struct Foundation.Data

/// Runs one turn: reports to `TurnState` what its consumer, its backend and the clock do, and does what it returns.
///
/// Owned by the call's handler and, while it waits or runs, by its model's queue or its backend's connection.
@IOLoop
final class Turn: SequenceHandler {
    let model: String
    private var state: TurnState
    private let service: InferenceService
    /// The call that reads the turn's events, the last event that it was given, and the bytes that it was told to count
    /// of the rest.
    private let call: ServerCall
    private var givenSeq: UInt64 = 0
    private var countedBytes = 0
    /// The request as the backend gets it; empty once the backend has it.
    private var encoded: [UInt8]
    /// The bounds that the request sets for its completion.
    private let bounds: SequenceBounds
    /// What the request needs of its backend.
    private let needs: [CapabilityTable.Row]
    /// The longest time to wait for a sequence; nil: no limit.
    private let queueTime: TurnRequest.Duration?
    /// How long its model is kept after the turn; nil: as its owner says.
    private let keepAliveSeconds: UInt32?
    private let ended: @IOLoop (TurnState.Ending) -> Void
    private var sequence: RunningSequence?
    /// The consumer whose tokens of the minute the turn uses up; nil: they are not counted.
    private let consumer: Consumer?
    /// Set while the consumer's tokens of this minute are used up.
    private var budgetTimer: Timer?
    private var queueTimer: Timer?

    /// `encoded` is the request as its backend gets it. `ended` is called at the turn's end, unless it was abandoned.
    init(
        _ request: TurnRequest, encoded: [UInt8], model: String, call: ServerCall, service: InferenceService,
        ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) {
        self.encoded = encoded
        self.model = model
        self.call = call
        self.service = service
        self.ended = ended
        bounds = request.bounds
        needs = CapabilityTable.rows(of: request)
        queueTime = request.queueTime
        keepAliveSeconds = request.keepAlive?.wholeSeconds
        let limits = service.limits
        let creditTokens = TurnCredit.most(limits, logprobs: request.logprobs)
        let consumer = call.caller as? Consumer
        self.consumer = consumer
        state = TurnState(
            request, model: model,
            creditTokens: consumer?.creditTokens(atMost: creditTokens) ?? creditTokens, limits: limits, arrived: .now())
    }

    var isOver: Bool { state.phase == .over }

    /// The number of tokens that its deltas have sent.
    var tokensSent: UInt32 { state.tokensSent }

    /// Since when the consumer has left more unread than lets the turn go on; nil while it has not.
    func unreadSince(at now: Monotonic) -> Monotonic? {
        state.unreadSince(isCongested: call.isCongested, takenBytes: call.takenBytes, at: now)
    }

    /// Has the consumer's library report what was read.
    func askWhatWasRead() { call.askForWindow() }
}

// MARK: - Waiting

extension Turn {
    /// Tells the consumer its position, and the loaded fraction of its model, from 0 to 1, while it is not loaded.
    func queued(position: Int, loaded: Float? = nil) {
        call.keep(encoded.count)
        state.queued(position: position, loaded: loaded)
        passOn()
    }

    /// Ends the wait after `max_queue_time`, if the request has one.
    func limitWait(_ timeIsOver: @escaping @IOLoop (Turn) -> Void) {
        guard let queueTime else { return }
        queueTimer = IOLoop.schedule(afterMilliseconds: queueTime.milliseconds) { [weak self] in
            if let self { timeIsOver(self) }
        }
    }

    /// Names the callers that may share what is computed for it.
    var cacheScope: [UInt8] { service.cacheScope(of: call) }

    /// Takes a free sequence of the backend; returns false if there is none. A backend that lacks what the request needs does
    /// not see it: the turn is over then.
    func begin(on backend: ManagedBackend) -> Bool {
        guard state.phase == .waiting else { return true }
        do throws(Status) {
            try CapabilityTable.check(completion: needs, backend.capabilities, model: model)
        } catch {
            fail(error)
            return true
        }
        let now = Monotonic.now()
        // Without credit it begins too, and computes once the minute, or the stream, has room again.
        let wanted = state.wanted(isCongested: call.isCongested, takenBytes: call.takenBytes, at: now)
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        guard
            let sequence = backend.begin(
                request: encoded, bounds: bounds, credit: tokens, cacheScope: cacheScope,
                keepAliveSeconds: keepAliveSeconds, handler: self)
        else {
            consumer?.giveBack(tokens)
            return false
        }
        self.sequence = sequence
        queueTimer?.cancel()
        encoded = []
        call.keep(0)
        let accepted = Hearth_V1_Accepted.with {
            $0.modelDigest = Data(backend.modelDigest)
            $0.backend = backend.version
            $0.sandboxTier = backend.tier
            $0.residualRisks = backend.residualRisks.map(\.line)
        }
        let actions = state.begun(accepted, matchesStops: backend.matchesStops, granted: tokens, at: now)
        passOn()
        if wanted > 0, state.hasNoCredit { waitForBudget() }
        perform(actions)
        return true
    }
}

// MARK: - The backend's side

extension Turn {
    func received(_ run: TokenRunView) {
        let now = Monotonic.now()
        let actions = state.came(run, at: now)
        passOn()
        perform(actions)
        goOn(at: now)
    }

    func finished(_ finish: Finish) { perform(state.finished(finish, at: .now())) }

    func lost(_ reason: String) { perform(state.lost()) }
}

// MARK: - The consumer's side

extension Turn {
    /// The consumer's `Cancel`: `Finished` and `Usage` follow.
    func cancel() { perform(state.cancel(at: .now())) }

    /// The call is gone: stops the computation and sends nothing more.
    func abandon() { perform(state.abandon()) }

    /// Ends the turn with this status.
    func fail(_ status: Status) { perform(state.fail(status)) }

    /// The consumer has read enough of what was waiting for it.
    func sendBufferDrained() {
        passOn()
        goOn(at: .now())
    }

    /// Gives the call as many of the events as it takes now, or all.
    private func passOn(all: Bool = false) {
        let room = all ? Int.max : call.roomBytes
        let call = call
        if room > 0 { givenSeq = state.take(after: givenSeq, byteCount: room) { call.send(prefixed: $0) } }
        let kept = state.ring.byteCount
        guard kept != countedBytes else { return }
        countedBytes = kept
        call.keepForClient(kept)
    }

    /// Lets the backend compute as far ahead as the limit says, unless the consumer lags or its minute is used up.
    private func goOn(at now: Monotonic) {
        let wanted = state.wanted(isCongested: call.isCongested, takenBytes: call.takenBytes, at: now)
        guard wanted > 0, let sequence else { return }
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        state.granted(tokens)
        if tokens > 0 { sequence.grant(tokens: tokens) }
        if state.hasNoCredit { waitForBudget() }
    }

    private func waitForBudget() {
        guard budgetTimer == nil, let consumer else { return }
        budgetTimer = IOLoop.schedule(afterMilliseconds: max(consumer.millisecondsUntilTokens, 100)) { [weak self] in
            guard let self else { return }
            budgetTimer = nil
            goOn(at: .now())
        }
    }
}

// MARK: - Actions

extension Turn {
    private func perform(_ actions: TurnState.Actions) {
        if actions.cancelsSequence { sequence?.cancel() }
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
        call.keep(0)
        // The events that are left have a bound, and the stream has room for them: they go before the status or the
        // next turn.
        if ending != .abandoned { passOn(all: true) }
        sequence = nil
        service.ended(self, ending)
        if ending != .abandoned { ended(ending) }
    }
}
