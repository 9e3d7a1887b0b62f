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

/// One turn of one consumer: from the request, through the queue and a backend's sequence, to `Usage`.
///
/// Owned by the call's handler and, while it waits or runs, by the queue or the backend's table of sequences.
@IOLoop
final class Turn: SequenceHandler {
    /// How a turn ends, as its handler hears it.
    enum Ending {
        /// `Usage` was sent.
        case complete
        /// Nothing more was sent; the call must end with this status.
        case failed(Status)
    }

    private enum Phase {
        case waiting
        case running(ManagedBackend, SequenceID)
        case over
    }

    let model: String
    private let call: ServerCall
    private let requestID: String
    /// How long it may wait; nil: for as long as it takes.
    private let queueTime: TurnRequest.Duration?
    /// The request as the backend gets it; nothing once it has it.
    private var encoded: [UInt8]
    /// Who may share what is computed for it.
    private let cacheScope: [UInt8]
    private let limits: InferenceLimits
    private let ended: @IOLoop (Ending) -> Void
    private var sender: EventSender
    private var text: TextAssembler
    private var phase = Phase.waiting
    /// Whose tokens of the minute are used up by this; nil: nobody counts.
    private let consumer: Consumer?
    private var credit: TurnCredit
    /// Runs while the consumer's tokens of this minute are used up.
    private var budgetTimer: Timer?
    /// Set by a stop string: what the backend still sends is neither sent on nor counted.
    private var matchedStop: String?
    private var cancelRequested = false
    private var queueTimer: Timer?
    private var unread: UnreadWatch
    private let arrived = Monotonic.now()
    private var begun: Monotonic?
    private var firstToken: Monotonic?
    private var lastToken: Monotonic?

    /// `encoded` is the request as its backend gets it.
    init(
        _ request: TurnRequest, encoded: [UInt8], cacheScope: [UInt8], model: String, call: ServerCall,
        limits: InferenceLimits, sent: SentTokens, ended: @escaping @IOLoop (Ending) -> Void
    ) {
        self.encoded = encoded
        self.cacheScope = cacheScope
        self.model = model
        self.call = call
        requestID = request.requestID
        queueTime = request.queueTime
        self.limits = limits
        self.ended = ended
        let consumer = call.caller as? Consumer
        self.consumer = consumer
        credit = TurnCredit(most: consumer?.creditTokens(atMost: limits.creditTokens) ?? limits.creditTokens)
        unread = UnreadWatch(bytesMin: limits.unreadBytesMin)
        sender = EventSender(call: call, wantsTokenIDs: request.wantsTokenIDs, sent: sent)
        text = TextAssembler(stops: request.stopping.stop)
    }

    var isOver: Bool {
        if case .over = phase { true } else { false }
    }

    /// Since when the consumer has left more unread than lets the turn go on; nil while it has not.
    func unreadSince(at now: Monotonic) -> Monotonic? {
        unread.look(isCongested: call.isCongested, takenBytes: call.takenBytes, at: now)
        return unread.since
    }

    /// Has the consumer's library say what was read.
    func askWhatWasRead() { call.askForWindow() }
}

// MARK: - Waiting

extension Turn {
    /// Tells the consumer its place.
    func queued(position: Int) {
        guard case .waiting = phase else { return }
        call.keep(encoded.count)
        sender.send(.queued(.with { $0.position = UInt32(clamping: position) }))
    }

    /// Ends the wait after `max_queue_time`, if the request has one.
    func limitWait(_ timeIsOver: @escaping @IOLoop (Turn) -> Void) {
        guard let time = queueTime else { return }
        let milliseconds = UInt64(clamping: time.seconds).multipliedReportingOverflow(by: 1000)
        let wait = milliseconds.overflow ? .max : milliseconds.partialValue &+ UInt64(time.nanoseconds) / 1_000_000
        queueTimer = IOLoop.schedule(afterMilliseconds: wait) { [weak self] in
            guard let self, case .waiting = phase else { return }
            timeIsOver(self)
        }
    }

    /// Takes a free sequence of the backend's; false when there is none.
    func begin(on backend: ManagedBackend) -> Bool {
        guard case .waiting = phase else { return true }
        // Without credit it begins too, and computes once the minute, or the stream, has room again.
        let wanted = credit.wanted(isCongested: call.isCongested)
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        guard
            let sequence = backend.begin(request: encoded, credit: tokens, cacheScope: cacheScope, handler: self)
        else {
            consumer?.giveBack(tokens)
            return false
        }
        queueTimer?.cancel()
        phase = .running(backend, sequence)
        encoded = []
        call.keep(0)
        credit.granted(tokens)
        if wanted > 0, tokens == 0 { waitForBudget() }
        begun = .now()
        sender.send(
            .accepted(
                .with {
                    $0.requestID = requestID
                    $0.model = model
                    $0.modelDigest = Data(backend.modelDigest)
                    $0.backend = backend.version
                    $0.sandboxTier = backend.tier
                    $0.residualRisks = backend.residualRisks.map(\.line)
                }))
        return true
    }
}

// MARK: - Ending it from the consumer's side

extension Turn {
    /// The consumer's `Cancel`: `Finished` and `Usage` follow.
    func cancel() {
        switch phase {
        case .waiting: complete(.cancelled, finish: nil)
        case .running(let backend, let sequence):
            guard !cancelRequested else { return }
            cancelRequested = true
            backend.cancel(sequence)
        case .over: return
        }
    }

    /// The call is gone: stop the computation, tell nobody.
    func abandon() {
        if case .running(let backend, let sequence) = phase { backend.cancel(sequence) }
        close()
    }

    func fail(_ status: Status) {
        guard !isOver else { return }
        if case .running(let backend, let sequence) = phase { backend.cancel(sequence) }
        end(status)
    }

    private func close() {
        queueTimer?.cancel()
        queueTimer = nil
        budgetTimer?.cancel()
        budgetTimer = nil
        consumer?.giveBack(credit.takeBack())
        encoded = []
        call.keep(0)
        phase = .over
    }
}

// MARK: - The backend's side

extension Turn {
    func received(_ run: TokenRunView) {
        guard case .running(let backend, let sequence) = phase else { return }
        let count = UInt32(clamping: run.tokenCount)
        credit.came(count)
        guard matchedStop == nil else {
            // Computed before the backend heard of the stop: nobody asked for it, and nobody pays.
            consumer?.giveBack(count)
            return
        }
        let now = Monotonic.now()
        if firstToken == nil { firstToken = now }
        lastToken = now
        switch text.append(run.text) {
        case .asGiven: sender.sendDelta(text: run.text, tokens: count, ids: run.packedTokenIDs)
        case .text(let bytes):
            bytes.withUnsafeBytes { sender.sendDelta(text: $0, tokens: count, ids: run.packedTokenIDs) }
        case .stopped(let bytes, let stop):
            bytes.withUnsafeBytes { sender.sendDelta(text: $0, tokens: count, ids: run.packedTokenIDs) }
            matchedStop = stop
            backend.cancel(sequence)
            return
        }
        unread.look(isCongested: call.isCongested, takenBytes: call.takenBytes, at: now)
        grantMore(backend, sequence)
    }

    /// The consumer has taken enough of what was waiting for it.
    func sendBufferDrained() {
        guard case .running(let backend, let sequence) = phase, matchedStop == nil else { return }
        unread.look(isCongested: call.isCongested, takenBytes: call.takenBytes, at: .now())
        grantMore(backend, sequence)
    }

    /// Lets the backend compute as far ahead as the limit says, unless the consumer lags.
    private func grantMore(_ backend: ManagedBackend, _ sequence: SequenceID) {
        let wanted = credit.wanted(isCongested: call.isCongested)
        guard wanted > 0 else { return }
        let tokens = consumer?.take(upTo: wanted) ?? wanted
        guard tokens > 0 else {
            if credit.outstanding == 0 { waitForBudget() }
            return
        }
        credit.granted(tokens)
        backend.grant(sequence, tokens: tokens)
    }

    /// The consumer's tokens of this minute are used up: the answer goes on when there are some again.
    private func waitForBudget() {
        guard budgetTimer == nil, let consumer else { return }
        budgetTimer = IOLoop.schedule(afterMilliseconds: max(consumer.millisecondsUntilTokens, 100)) { [weak self] in
            guard let self else { return }
            budgetTimer = nil
            guard case .running(let backend, let sequence) = phase, matchedStop == nil else { return }
            grantMore(backend, sequence)
        }
    }

    func finished(_ finish: Finish) {
        guard case .running = phase else { return }
        switch finish.outcome {
        case .reason(let reason): complete(reason, finish: finish)
        // The text was complete before the backend failed.
        case .fault where matchedStop != nil, .unspecified where matchedStop != nil: complete(.stop, finish: finish)
        case .fault(let fault): end(StatusMapping.status(of: fault, model: model))
        case .unspecified: end(StatusMapping.lost(model: model))
        }
    }

    func lost(_ reason: String) {
        guard case .running = phase else { return }
        end(StatusMapping.lost(model: model))
    }

    private func end(_ status: Status) {
        close()
        ended(.failed(status))
    }
}

// MARK: - The end

extension Turn {
    private func complete(_ reason: FinishReason, finish: Finish?) {
        if let finish { consumer?.charge(finish.promptTokens - min(finish.cachedPromptTokens, finish.promptTokens)) }
        // Tokens whose text was held back, and was then part of a stop, count all the same.
        let rest = matchedStop == nil ? text.finish() : []
        rest.withUnsafeBytes { sender.flushDelta(text: $0) }
        close()
        sender.send(
            .finished(
                .with {
                    switch matchedStop == nil ? reason : .stop {
                    case .stop: $0.reason = .stop
                    case .length: $0.reason = .length
                    case .cancelled: $0.reason = .cancelled
                    }
                    if let matchedStop {
                        $0.stop = matchedStop
                    } else if let id = finish?.stopTokenID {
                        $0.stopTokenID = id
                    }
                }))
        sender.send(.usage(usage(finish)))
        ended(.complete)
    }

    private func usage(_ finish: Finish?) -> Hearth_V1_Usage {
        .with {
            $0.promptTokens = finish?.promptTokens ?? 0
            $0.cachedPromptTokens = finish?.cachedPromptTokens ?? 0
            $0.completionTokens = sender.tokensSent
            $0.queueTime = .init(nanosecondsBetween: arrived, begun ?? .now())
            if let firstToken {
                $0.timeToFirstToken = .init(nanosecondsBetween: arrived, firstToken)
                $0.decodeTime = .init(nanosecondsBetween: firstToken, lastToken ?? firstToken)
            }
        }
    }
}
