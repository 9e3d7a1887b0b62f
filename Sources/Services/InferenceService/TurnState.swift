internal import BackendIPC
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import WireFormat

/// The state machine of one turn of one consumer, from the request to `Usage`. Pure: its driver (`Turn`) reports events
/// with their times, does what it returns, and passes on the events in the ring. A turn has one completion or several,
/// its choices, each of which is a sequence of a backend; they share the ring.
///
/// An input that means nothing in the present phase has no effect: tokens that still come for a turn that is over, or a
/// second cancel.
struct TurnState {
    /// It waits until its first choice begins.
    enum Phase: Equatable { case waiting, running, over }

    /// How a turn ends.
    enum Ending: Equatable {
        /// `Usage` is its last event.
        case complete
        /// It has no `Usage`; the call ends with this status.
        case failed(Status)
        /// Its call is gone: nothing more is sent.
        case abandoned

        var isFailure: Bool { if case .failed = self { true } else { false } }
    }

    /// The actions of the driver, in this order.
    struct Actions: Equatable {
        /// Choices whose sequences the backend is to end, if they have one.
        var cancels = 0..<0
        /// Tokens that were taken from the consumer's minute for this turn and not computed, or not asked for.
        var givenBack: UInt32 = 0
        /// Tokens that count against the minute without having been taken from it: the prompt's.
        var charged: UInt32 = 0
        /// The turn is over; the events in the ring are its last.
        var ending: Ending?

        @inline(__always)
        var isEmpty: Bool { cancels.isEmpty && givenBack == 0 && charged == 0 && ending == nil }
    }

    var phase = Phase.waiting
    var ring: EventRing
    /// Set for a turn that can be resumed.
    var reader: TurnReader?

    /// Whether the consumer wants to hear what happens before there is text.
    private let wantsQueueEvents: Bool
    private let requestID: String
    private let model: String
    /// Apart, because most turns have one, and each token passes here.
    var first: ChoiceState
    var others: [ChoiceState]
    private var unread: UnreadWatch
    var isCancelled = false
    var isToldOfPause = false
    /// How often in a row a process has failed soon after it began one of the choices.
    var failures = 0

    let arrived: Monotonic
    var begun: Monotonic?
    var firstToken: Monotonic?
    var lastToken: Monotonic?

    /// `creditTokens`: how far a backend may compute ahead of this consumer, for each choice.
    init(
        _ request: TurnRequest, model: String, creditTokens: UInt32, limits: InferenceLimits, arrived: Monotonic
    ) {
        wantsQueueEvents = request.wantsQueueEvents
        requestID = request.requestID
        self.model = model
        let choiceCount = request.choiceCount
        let choice = { (index: Int) in
            ChoiceState(
                request, index: index, creditTokens: creditTokens,
                pendingLogprobBytesMax: limits.pendingLogprobBytesMax / choiceCount)
        }
        first = choice(0)
        others = (1..<choiceCount).map(choice)
        unread = UnreadWatch(bytesMin: limits.unreadBytesMin)
        ring = EventRing(bytesMax: limits.turnBytesMax, eventsMax: limits.turnEventsMax)
        self.arrived = arrived
    }

    /// The consumer may come back with this token if it is lost. Called before anything else.
    mutating func makeResumable(token: String, milliseconds: UInt64, limits: InferenceLimits) {
        ring = EventRing(bytesMax: limits.turnBytesMax, eventsMax: limits.resumableEventsMax)
        reader = TurnReader()
        _ = ring.append(
            .resumable(
                .with {
                    $0.resumeToken = token
                    $0.resumableFor = .init(milliseconds: milliseconds)
                }))
    }

    /// The number of tokens that its deltas have sent.
    var tokensSent: UInt32 { others.reduce(first.tokensSent) { $0 + $1.tokensSent } }

    /// What the backend has told of the prompt's length; nil: nothing yet.
    var promptTokens: UInt32? { choices.lazy.compactMap { self[$0].finish?.promptTokens }.first }

    var choices: Range<Int> { 0..<(1 + others.count) }

    subscript(choice: Int) -> ChoiceState {
        get { choice == 0 ? first : others[choice - 1] }
        _modify {
            if choice == 0 { yield &first } else { yield &others[choice - 1] }
        }
    }
}

// MARK: - Waiting

extension TurnState {
    /// Tells the consumer its position in the queue, the loaded fraction of its model while it is not loaded, and how long
    /// it waits, unless the consumer has not read the message before, or does not want to hear it.
    mutating func queued(position: Int, loaded: Float? = nil, waitMilliseconds: UInt64? = nil) {
        guard wantsQueueEvents, phase == .waiting, unsentBytes == 0 else { return }
        _ = ring.append(
            .queued(
                .with {
                    $0.position = UInt32(clamping: position)
                    if let loaded { $0.loadedFraction = loaded }
                    if let waitMilliseconds { $0.estimatedWait = .init(milliseconds: waitMilliseconds) }
                }))
    }

    /// Tells the consumer that the turn stands still, unless it has so much to read that it may miss this, or the turn
    /// waits and the consumer has heard nothing of it and does not want to.
    mutating func paused(_ reason: Hearth_V1_PauseReason, _ message: String) {
        guard phase != .over, !isToldOfPause, !ring.isHalfFull else { return }
        guard wantsQueueEvents || phase == .running || isHeardOf else { return }
        isToldOfPause = ring.append(
            .paused(
                .with {
                    $0.reason = reason
                    $0.message = message
                }))
    }

    /// Tells the consumer that the turn goes on, if it was told that it stands still, and nothing else keeps it.
    mutating func resumed() -> Actions {
        guard phase != .over, isToldOfPause, !isInterrupted else { return Actions() }
        isToldOfPause = false
        return ring.append(.resumed(.init())) ? Actions() : overflowed()
    }

    /// Whether a choice stands still because its process was lost.
    var isInterrupted: Bool { choices.contains { self[$0].phase == .interrupted } }

    /// The choice that begins next, or goes on next; nil: none does.
    var nextChoice: Int? {
        guard phase != .over, !isCancelled else { return nil }
        return choices.first { self[$0].phase == .interrupted } ?? choices.first { self[$0].phase == .waiting }
    }

    /// The tokens that the next choice has already, as packed varints; nil: it begins.
    var continuation: [UInt8]? {
        nextChoice.flatMap { self[$0].phase == .interrupted ? self[$0].generated.packed : nil }
    }

    /// A backend has taken the next choice, and may compute `granted` of the tokens that were `wanted`. `accepted` names
    /// the backend; the request's own fields are added here. `matchesStops`: it looks for stop strings itself.
    /// `canContinue`: another process could go on with the choice.
    mutating func begun(
        _ accepted: @autoclosure () -> Hearth_V1_Accepted, matchesStops: Bool = false, canContinue: Bool = false,
        granted: UInt32, at now: Monotonic
    ) -> Actions {
        guard let choice = nextChoice else { return Actions() }
        let goesOn = self[choice].phase == .interrupted
        self[choice].begin(matchesStops: matchesStops, canContinue: canContinue, granted: granted)
        if goesOn {
            var actions = resumed()
            // Only what it cost is still to be said.
            if self[choice].matchedStop != nil, actions.ending == nil { actions.cancels = choice..<(choice + 1) }
            return actions
        }
        guard phase == .waiting else { return Actions() }
        phase = .running
        begun = now
        var accepted = accepted()
        accepted.requestID = requestID
        accepted.model = model
        return ring.append(.accepted(accepted)) ? Actions() : overflowed()
    }
}

// MARK: - Tokens

extension TurnState {
    /// The backend has sent tokens of this choice.
    @inline(__always)
    mutating func came(_ run: TokenRunView, choice: Int = 0, at now: Monotonic) -> Actions {
        guard phase == .running else { return Actions() }
        let count = UInt32(clamping: run.tokenCount)
        if choice > 0 { return cameOther(run, tokens: count, choice, at: now) }
        guard first.matchedStop == nil else {
            first.cameTooLate(count)
            return Actions(givenBack: count)
        }
        noteToken(at: now)
        return actions(first.came(run, tokens: count, &ring), of: 0)
    }

    @inline(never)
    private mutating func cameOther(
        _ run: TokenRunView, tokens: UInt32, _ choice: Int, at now: Monotonic
    ) -> Actions {
        guard others[choice - 1].matchedStop == nil else {
            others[choice - 1].cameTooLate(tokens)
            return Actions(givenBack: tokens)
        }
        noteToken(at: now)
        return actions(others[choice - 1].came(run, tokens: tokens, &ring), of: choice)
    }

    @inline(__always)
    private mutating func noteToken(at now: Monotonic) {
        if firstToken == nil { firstToken = now }
        lastToken = now
    }

    @inline(__always)
    private mutating func actions(_ outcome: ChoiceState.Outcome, of choice: Int) -> Actions {
        switch outcome {
        case .goesOn: Actions()
        case .stopped: Actions(cancels: choice..<(choice + 1))
        case .noRoom: overflowed()
        }
    }

    /// How many more tokens the backend should be allowed to compute of this choice; 0: none now. `isCongested` and
    /// `takenBytes` are those of the call that reads the ring, after it was given what it takes.
    @inline(__always)
    mutating func wanted(choice: Int = 0, isCongested: Bool, takenBytes: UInt64, at now: Monotonic) -> UInt32 {
        if phase == .running { unread.look(isCongested: isCongested, takenBytes: takenBytes, at: now) }
        // Seldom more than 0, so that the rest is seldom asked.
        let wanted =
            choice == 0 ? first.wanted(isCongested: isCongested) : self[choice].wanted(isCongested: isCongested)
        return wanted == 0 || isCancelled || ring.isHalfFull ? 0 : wanted
    }

    /// As many of the wanted tokens may be computed.
    @inline(__always)
    mutating func granted(_ tokens: UInt32, choice: Int = 0) {
        if choice == 0 { first.granted(tokens) } else { self[choice].granted(tokens) }
    }

    /// Nothing is being computed of this choice. If more was wanted nevertheless, it goes on when the consumer's minute
    /// has tokens again.
    @inline(__always)
    func hasNoCredit(choice: Int = 0) -> Bool {
        choice == 0 ? first.hasNoCredit : self[choice].hasNoCredit
    }

    /// Since when the consumer has left more unread than lets the turn go on; nil while it has not.
    mutating func unreadSince(isCongested: Bool, takenBytes: UInt64, at now: Monotonic) -> Monotonic? {
        guard phase == .running else { return nil }
        unread.look(isCongested: isCongested, takenBytes: takenBytes, at: now)
        return unread.since
    }

    /// Hands out the fewest events behind `seq` that have so many bytes, or all, and releases them: they have one
    /// reader. Returns the number of the last one.
    @inline(__always)
    mutating func take(after seq: UInt64, byteCount: Int, _ body: (UnsafeRawBufferPointer) -> Void) -> UInt64 {
        guard let last = ring.read(after: seq, byteCount: byteCount, body) else { return seq }
        ring.release(through: last)
        return last
    }

    /// The bytes of the events that no call was given.
    var unsentBytes: Int { ring.byteCount - (reader?.sentBytes ?? 0) }

    /// Whether the consumer was sent an event.
    private var isHeardOf: Bool { ring.releasedSeq > 0 || reader != nil }

    /// Of a turn that can be resumed: hands out the fewest events that were not sent and have so many bytes, or all, and
    /// keeps them where there is room.
    mutating func take(byteCount: Int, keepsSent: Bool, _ body: (UnsafeRawBufferPointer) -> Void) {
        reader?.take(from: &ring, byteCount: byteCount, keepsSent: keepsSent, body)
    }

    /// The consumer has all events up to this one; means nothing for a turn that cannot be resumed.
    mutating func acknowledge(_ seq: UInt64) throws(TurnReader.Refusal) { try reader?.acknowledge(seq, in: &ring) }

    /// The consumer has come back, and wants the events behind this one.
    mutating func resume(after seq: UInt64) throws(TurnReader.Refusal) {
        try reader?.resume(after: seq, in: &ring)
        unread.begin()
    }

    /// Whether the consumer has acknowledged the whole turn.
    var isAcknowledged: Bool { phase == .over && ring.isEmpty }
}

// MARK: - The end

extension TurnState {
    /// The consumer's `Cancel`: `Finished` of every choice and `Usage` follow, at once or when the backend has ended the
    /// sequences.
    mutating func cancel(at now: Monotonic) -> Actions {
        guard phase != .over, !isCancelled else { return Actions() }
        // What a stop string has ended is complete, and its sequence ends by itself.
        let cancelled = choices.filter { self[$0].phase != .over && self[$0].matchedStop == nil }
        guard !cancelled.isEmpty else { return Actions() }
        isCancelled = true
        var actions = Actions()
        for choice in cancelled {
            if self[choice].phase == .running {
                actions.cancels = (actions.cancels.isEmpty ? choice : actions.cancels.lowerBound)..<(choice + 1)
            } else {
                guard append(.cancelled, nil, of: choice) else { return overflowed() }
                actions.givenBack += self[choice].end()
            }
        }
        return completed(actions, at: now)
    }

    /// The backend has ended the sequence of this choice.
    mutating func finished(_ finish: Finish, choice: Int = 0, at now: Monotonic) -> Actions {
        guard phase == .running, self[choice].phase == .running else { return Actions() }
        switch finish.outcome {
        case .reason(let reason): return complete(choice, reason, finish, at: now)
        // The text was complete before the backend failed.
        case .fault where self[choice].matchedStop != nil, .unspecified where self[choice].matchedStop != nil:
            return complete(choice, .stop, finish, at: now)
        case .fault(let fault): return ended(choice, .failed(StatusMapping.status(of: fault, model: model)))
        case .unspecified: return ended(choice, .failed(StatusMapping.lost(model: model)))
        }
    }

    /// The process is gone, and the sequence of this choice with it: the turn stands still until another process goes on
    /// with it (`isInterrupted`), or ends where none can. A request that has several processes fail is refused.
    mutating func lost(choice: Int = 0, _ loss: Loss, at now: Monotonic) -> Actions {
        guard phase == .running, self[choice].phase == .running else { return Actions() }
        guard self[choice].canContinue else { return ended(choice, .failed(loss.status)) }
        // Nobody waits for more of it.
        if isCancelled { return complete(choice, .cancelled, Finish(.reason(.cancelled)), at: now) }
        if loss.isFailure {
            if isSuspect, loss.wasAlone, !self[choice].hasBegun || failures >= Self.failuresMax {
                return ended(choice, .failed(StatusMapping.poisonous(model: model, processes: failures + 1)))
            }
            // All choices that were on the process are lost with it, and it has failed once.
            if !isInterrupted {
                let hasProgressed = choices.contains { self[$0].phase == .running && self[$0].hasProgressed }
                failures = hasProgressed ? 1 : failures + 1
            }
        }
        let actions = Actions(givenBack: self[choice].interrupt())
        // Until then a consumer that has heard nothing can be told that nothing was begun, and have it tried again.
        if wantsQueueEvents || isHeardOf {
            paused(.backendLost, "the backend of '\(model)' was lost; it is being restarted, and the turn goes on then")
        }
        return actions
    }

    /// What is known of a lost process.
    struct Loss {
        /// What the consumer is told where no other process can go on.
        var status: Status
        /// It failed at its work, perhaps at this turn.
        var isFailure = true
        /// Nothing else ran on it.
        var wasAlone = false
    }

    /// Whether the turn may be what its processes fail at: it is tried alone.
    var isSuspect: Bool { failures >= Self.failuresOfSuspect }

    static let failuresOfSuspect = 2
    /// So many failures are no accident, even if each process sends some tokens.
    static let failuresMax = 8

    /// Whether the turn, which was begun alone, has shown that it does no harm, or cannot now.
    var isTrialOver: Bool {
        phase == .over
            || choices.allSatisfy { self[$0].phase != .running || self[$0].hasProgressed || self[$0].hasNoCredit }
    }

    /// The turn cannot go on, for a reason other than its backend.
    mutating func fail(_ status: Status) -> Actions { stop(.failed(status)) }

    /// The call is gone.
    mutating func abandon() -> Actions { stop(.abandoned) }

    /// The sequence of this choice has ended, and the turn with it.
    private mutating func ended(_ choice: Int, _ ending: Ending) -> Actions {
        let givenBack = self[choice].end()
        var actions = stop(ending)
        actions.givenBack += givenBack
        return actions
    }

    private mutating func stop(_ ending: Ending) -> Actions {
        guard phase != .over else { return Actions() }
        phase = .over
        var actions = Actions(ending: ending)
        for choice in choices {
            if self[choice].phase == .running { actions.cancels = choices }
            actions.givenBack += self[choice].end()
        }
        return actions
    }

    /// The ring has no room, which the credit and its bounds should prevent. A turn must have no gap, so it fails.
    private mutating func overflowed() -> Actions {
        stop(
            .failed(
                ring.eventCount < ring.eventsMax
                    ? StatusMapping.ringFull("turnBytesMax", ring.bytesMax)
                    : StatusMapping.ringFull("turnEventsMax", ring.eventsMax)))
    }

    mutating func complete(
        _ choice: Int, _ reason: FinishReason, _ finish: Finish, at now: Monotonic
    ) -> Actions {
        guard append(reason, finish, of: choice) else { return overflowed() }
        let actions = Actions(givenBack: self[choice].end(), charged: self[choice].computedPromptTokens)
        return completed(actions, at: now)
    }

    /// Appends what was held back of this choice, and its end. Returns false if there is no room.
    private mutating func append(_ reason: FinishReason, _ finish: Finish?, of choice: Int) -> Bool {
        choice == 0 ? first.complete(reason, finish, &ring) : others[choice - 1].complete(reason, finish, &ring)
    }

    /// Ends the turn where all its choices are over.
    private mutating func completed(_ actions: Actions, at now: Monotonic) -> Actions {
        guard choices.allSatisfy({ self[$0].phase == .over }) else { return actions }
        var actions = actions
        guard ring.append(.usage(usage(at: now))) else {
            let overflow = overflowed()
            actions.ending = overflow.ending
            return actions
        }
        phase = .over
        actions.ending = .complete
        return actions
    }

    /// When it came how far, for its trace.
    var times: TurnTrace.Times {
        TurnTrace.Times(arrived: arrived, begun: begun, firstToken: firstToken, lastToken: lastToken)
    }

    /// What it computed, for its trace.
    var figures: TurnTrace.Figures {
        let finishes = choices.compactMap { self[$0].finish }
        return TurnTrace.Figures(
            promptTokens: finishes.first?.promptTokens ?? 0,
            cachedPromptTokens: finishes.map(\.cachedPromptTokens).min() ?? 0, completionTokens: tokensSent,
            finishReasons: choices.compactMap { self[$0].reason?.word })
    }

    private func usage(at now: Monotonic) -> Hearth_V1_Usage {
        let finishes = choices.compactMap { self[$0].finish }
        let usages = choices.map { self[$0].usage }
        return .with {
            $0.promptTokens = finishes.first?.promptTokens ?? 0
            // Only one of them had to compute what all have.
            $0.cachedPromptTokens = finishes.map(\.cachedPromptTokens).min() ?? 0
            for usage in usages {
                $0.completionTokens += usage.completionTokens
                $0.draftedTokens += usage.draftedTokens
                $0.acceptedDraftTokens += usage.acceptedDraftTokens
            }
            if usages.count > 1 { $0.choices = usages }
            $0.queueTime = .init(nanosecondsBetween: arrived, begun ?? now)
            if let firstToken {
                $0.timeToFirstToken = .init(nanosecondsBetween: arrived, firstToken)
                $0.decodeTime = .init(nanosecondsBetween: firstToken, lastToken ?? firstToken)
            }
        }
    }
}

extension Hearth_V1_FinishReason {
    /// As OpenTelemetry's conventions write it.
    fileprivate var word: String? {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .cancelled: "cancelled"
        case .toolCalls: "tool_calls"
        case .unspecified, .UNRECOGNIZED: nil
        }
    }
}

extension Google_Protobuf_Duration {
    fileprivate init(milliseconds: UInt64) {
        self.init(
            seconds: Int64(clamping: milliseconds / 1_000), nanos: Int32(milliseconds % 1_000) * 1_000_000)
    }

    fileprivate init(nanosecondsBetween start: Monotonic, _ end: Monotonic) {
        let nanoseconds = end.since(start)
        self.init(seconds: Int64(nanoseconds / 1_000_000_000), nanos: Int32(nanoseconds % 1_000_000_000))
    }
}

// MARK: - Events

extension EventRing {
    /// Appends an event of this choice that is no `Delta`. Returns false if there is no room for it.
    mutating func append(_ event: Hearth_V1_ChatEvent.OneOf_Event, choice: UInt32 = 0) -> Bool {
        let message = Hearth_V1_ChatEvent.with {
            $0.seq = lastSeq + 1
            $0.choice = choice
            $0.event = event
        }
        // Encoding fails for anything longer than an event can be.
        guard let bytes: [UInt8] = try? message.serializedBytes() else { return false }
        return append(byteCount: bytes.count) { writer in bytes.withUnsafeBytes { writer.raw($0) } }
    }
}
