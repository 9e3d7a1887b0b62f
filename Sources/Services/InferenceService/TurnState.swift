internal import BackendIPC
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import WireFormat

/// The state machine of one turn of one consumer, from the request to `Usage`. Pure: its driver (`Turn`) reports events
/// with their times, does what it returns, and passes on the events in the ring.
///
/// An input that means nothing in the present phase has no effect: tokens that still come for a turn that is over, or a
/// second cancel.
struct TurnState {
    enum Phase: Equatable { case waiting, running, over }

    /// How a turn ends.
    enum Ending: Equatable {
        /// `Usage` is its last event.
        case complete
        /// It has no `Finished` and no `Usage`; the call ends with this status.
        case failed(Status)
        /// Its call is gone: nothing more is sent.
        case abandoned
    }

    /// The actions of the driver, in this order.
    struct Actions: Equatable {
        /// The backend is to end the sequence.
        var cancelsSequence = false
        /// Tokens that were taken from the consumer's minute for this turn and not computed, or not asked for.
        var givenBack: UInt32 = 0
        /// Tokens that count against the minute without having been taken from it: the prompt's.
        var charged: UInt32 = 0
        /// The turn is over; the events in the ring are its last.
        var ending: Ending?
    }

    /// So many tokens without text are sent without waiting for their text.
    static let pendingTokensMax: UInt32 = 256

    private(set) var phase = Phase.waiting
    private(set) var ring: EventRing
    /// The number of tokens that its deltas have sent. No sum of a turn's tokens overflows: `BackendConversation` takes
    /// no more of a sequence than its context has, whose length is a UInt32 too.
    private(set) var tokensSent: UInt32 = 0

    private let requestID: String
    private let model: String
    private let wantsTokenIDs: Bool
    private let pendingLogprobBytesMax: Int
    private let stops: [String]
    private var text: TextAssembler
    /// Made when the first reasoning comes.
    private var reasoning: TextAssembler?
    private var credit: TurnCredit
    private var unread: UnreadWatch
    /// Set by a stop string that was found here: tokens that the backend still sends are neither sent on nor counted.
    private var matchedStop: Int?
    private var isCancelled = false
    private var hasToolCalls = false
    /// Tokens whose text is still held back, their ids as packed varints, and their log-probabilities as the content of a
    /// `Logprobs`; the next delta accounts for them.
    private var pendingTokens: UInt32 = 0
    private var pendingIDs: [UInt8] = []
    private var pendingLogprobs: [UInt8] = []
    /// Whether one of the two is not empty.
    private var hasPending = false

    private let arrived: Monotonic
    private var begun: Monotonic?
    private var firstToken: Monotonic?
    private var lastToken: Monotonic?

    /// `creditTokens`: how far a backend may compute ahead of this consumer.
    init(
        _ request: TurnRequest, model: String, creditTokens: UInt32, limits: InferenceLimits, arrived: Monotonic
    ) {
        requestID = request.requestID
        self.model = model
        wantsTokenIDs = request.wantsTokenIDs
        pendingLogprobBytesMax = limits.pendingLogprobBytesMax
        stops = request.stopping.stop
        text = TextAssembler(stops: stops)
        credit = TurnCredit(most: creditTokens)
        unread = UnreadWatch(bytesMin: limits.unreadBytesMin)
        ring = EventRing(bytesMax: limits.turnBytesMax, eventsMax: limits.turnEventsMax)
        self.arrived = arrived
    }
}

// MARK: - Waiting

extension TurnState {
    /// Tells the consumer its position in the queue, and the loaded fraction of its model while it is not loaded,
    /// unless the consumer has not read the message before.
    mutating func queued(position: Int, loaded: Float? = nil) {
        guard phase == .waiting, ring.isEmpty else { return }
        _ = append(
            .queued(
                .with {
                    $0.position = UInt32(clamping: position)
                    if let loaded { $0.loadedFraction = loaded }
                }))
    }

    /// A backend has taken the request, and may compute `granted` of the tokens that were `wanted`. `accepted` names
    /// the backend; the request's own fields are added here. `matchesStops`: it looks for stop strings itself.
    mutating func begun(
        _ accepted: Hearth_V1_Accepted, matchesStops: Bool = false, granted: UInt32, at now: Monotonic
    ) -> Actions {
        guard phase == .waiting else { return Actions() }
        phase = .running
        if matchesStops { text = TextAssembler(stops: []) }
        begun = now
        credit.granted(granted)
        var accepted = accepted
        accepted.requestID = requestID
        accepted.model = model
        return append(.accepted(accepted)) ? Actions() : overflowed()
    }
}

// MARK: - Tokens

extension TurnState {
    /// The backend has sent tokens of this turn.
    mutating func came(_ run: TokenRunView, at now: Monotonic) -> Actions {
        guard phase == .running else { return Actions() }
        let count = UInt32(clamping: run.tokenCount)
        credit.came(count)
        // Computed before the backend heard of the stop: these tokens are neither sent nor charged.
        guard matchedStop == nil else { return Actions(givenBack: count) }
        if firstToken == nil { firstToken = now }
        lastToken = now
        if !run.isPlain { return cameRare(run, tokens: count) }
        return cameText(run.text, tokens: count, ids: run.packedTokenIDs)
    }

    @inline(__always)
    private mutating func cameText(
        _ bytes: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer
    ) -> Actions {
        let hasRoom: Bool
        switch text.append(bytes) {
        case .asGiven: hasRoom = appendDelta(bytes, tokens: tokens, ids: ids)
        case .text(let bytes):
            hasRoom = bytes.withUnsafeBytes { appendDelta($0, tokens: tokens, ids: ids) }
        case .stopped(let bytes, let stop):
            matchedStop = stop
            hasRoom = bytes.withUnsafeBytes { appendDelta($0, tokens: tokens, ids: ids) }
            if hasRoom { return Actions(cancelsSequence: true) }
        }
        return hasRoom ? Actions() : overflowed()
    }

    /// A run with reasoning, log-probabilities or tool calls.
    @inline(never)
    private mutating func cameRare(_ run: TokenRunView, tokens: UInt32) -> Actions {
        let rare = run.rare
        pendingTokens += tokens
        if wantsTokenIDs { pendingIDs.append(contentsOf: run.packedTokenIDs) }
        pendingLogprobs.append(contentsOf: rare.logprobs)
        hasPending = !pendingIDs.isEmpty || !pendingLogprobs.isEmpty
        guard rare.reasoning.isEmpty || cameReasoning(rare.reasoning) else { return overflowed() }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let actions = cameText(run.text, tokens: 0, ids: none)
        // What follows a stop string is not sent.
        guard !rare.toolCalls.isEmpty, phase == .running, matchedStop == nil else { return actions }
        hasToolCalls = true
        return flushDelta(none, toolCalls: rare.toolCalls) ? actions : overflowed()
    }

    /// Reasoning is in a delta of its own, which accounts for all tokens of its run. Returns false if there is no room.
    private mutating func cameReasoning(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if reasoning == nil { reasoning = TextAssembler(stops: []) }
        return switch reasoning?.append(bytes) {
        case .asGiven: flushDelta(bytes, isReasoning: true)
        case .text(let bytes): bytes.isEmpty || bytes.withUnsafeBytes { flushDelta($0, isReasoning: true) }
        case .stopped, nil: true
        }
    }

    /// How many more tokens the backend should be allowed to compute; 0: none now. `isCongested` and `takenBytes` are
    /// those of the call that reads the ring, after it was given what it takes.
    mutating func wanted(isCongested: Bool, takenBytes: UInt64, at now: Monotonic) -> UInt32 {
        guard phase != .over, matchedStop == nil, !isCancelled else { return 0 }
        if phase == .running { unread.look(isCongested: isCongested, takenBytes: takenBytes, at: now) }
        return credit.wanted(isCongested: isCongested || ring.isHalfFull)
    }

    /// As many of the wanted tokens may be computed.
    mutating func granted(_ tokens: UInt32) { credit.granted(tokens) }

    /// Nothing is being computed. If more was wanted nevertheless, the turn goes on when the consumer's minute has
    /// tokens again.
    var hasNoCredit: Bool { phase == .running && credit.outstanding == 0 }

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
}

// MARK: - The end

extension TurnState {
    /// The consumer's `Cancel`: `Finished` and `Usage` follow, at once or when the backend has ended the sequence.
    mutating func cancel(at now: Monotonic) -> Actions {
        switch phase {
        case .waiting: return complete(.cancelled, nil, at: now)
        case .running where !isCancelled && matchedStop == nil:
            isCancelled = true
            return Actions(cancelsSequence: true)
        case .running, .over: return Actions()
        }
    }

    /// The backend has ended the sequence.
    mutating func finished(_ finish: Finish, at now: Monotonic) -> Actions {
        guard phase == .running else { return Actions() }
        switch finish.outcome {
        case .reason(let reason): return complete(reason, finish, at: now)
        // The text was complete before the backend failed.
        case .fault where matchedStop != nil, .unspecified where matchedStop != nil:
            return complete(.stop, finish, at: now)
        case .fault(let fault): return over(.failed(StatusMapping.status(of: fault, model: model)))
        case .unspecified: return over(.failed(StatusMapping.lost(model: model)))
        }
    }

    /// The backend is gone, and the sequence with it.
    mutating func lost() -> Actions {
        phase == .running ? over(.failed(StatusMapping.lost(model: model))) : Actions()
    }

    /// The turn cannot go on, for a reason other than its backend.
    mutating func fail(_ status: Status) -> Actions { stop(.failed(status)) }

    /// The call is gone.
    mutating func abandon() -> Actions { stop(.abandoned) }

    private mutating func stop(_ ending: Ending) -> Actions {
        guard phase != .over else { return Actions() }
        let isRunning = phase == .running
        var actions = over(ending)
        actions.cancelsSequence = isRunning
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

    private mutating func over(_ ending: Ending) -> Actions {
        phase = .over
        return Actions(givenBack: credit.takeBack(), ending: ending)
    }

    private mutating func complete(_ reason: FinishReason, _ finish: Finish?, at now: Monotonic) -> Actions {
        // Tokens whose text was held back, and then turned out to be part of a stop, count all the same.
        let rest = matchedStop == nil ? text.finish() : []
        let thought = reasoning?.finish() ?? []
        guard thought.withUnsafeBytes({ $0.isEmpty || flushDelta($0, isReasoning: true) }),
            rest.withUnsafeBytes({ flushDelta($0) }), append(.finished(finished(reason, finish))),
            append(.usage(usage(finish, at: now)))
        else { return overflowed() }
        var actions = over(.complete)
        if let finish { actions.charged = finish.promptTokens - min(finish.cachedPromptTokens, finish.promptTokens) }
        return actions
    }

    private func finished(_ reason: FinishReason, _ finish: Finish?) -> Hearth_V1_Finished {
        .with {
            let endsWithCalls =
                hasToolCalls && matchedStop == nil && finish?.stop == nil && finish?.stopTokenID == nil
            switch matchedStop == nil ? reason : .stop {
            case .stop: $0.reason = endsWithCalls ? .toolCalls : .stop
            case .length: $0.reason = .length
            case .cancelled: $0.reason = .cancelled
            }
            if let stop = matchedStop ?? finish?.stop.map(Int.init), stops.indices.contains(stop) {
                $0.stop = stops[stop]
            } else if let id = finish?.stopTokenID {
                $0.stopTokenID = id
            }
        }
    }

    private func usage(_ finish: Finish?, at now: Monotonic) -> Hearth_V1_Usage {
        .with {
            $0.promptTokens = finish?.promptTokens ?? 0
            $0.cachedPromptTokens = finish?.cachedPromptTokens ?? 0
            $0.completionTokens = tokensSent
            $0.draftedTokens = finish?.draftedTokens ?? 0
            // Tokens behind a stop string were sent by the backend only.
            $0.acceptedDraftTokens = min(finish?.acceptedDraftTokens ?? 0, tokensSent)
            $0.queueTime = .init(nanosecondsBetween: arrived, begun ?? now)
            if let firstToken {
                $0.timeToFirstToken = .init(nanosecondsBetween: arrived, firstToken)
                $0.decodeTime = .init(nanosecondsBetween: firstToken, lastToken ?? firstToken)
            }
        }
    }
}

extension Google_Protobuf_Duration {
    fileprivate init(nanosecondsBetween start: Monotonic, _ end: Monotonic) {
        let nanoseconds = end.since(start)
        self.init(seconds: Int64(nanoseconds / 1_000_000_000), nanos: Int32(nanoseconds % 1_000_000_000))
    }
}

// MARK: - Events

extension TurnState {
    /// Returns false if there is no room for it.
    private mutating func append(_ event: Hearth_V1_ChatEvent.OneOf_Event) -> Bool {
        let message = Hearth_V1_ChatEvent.with {
            $0.seq = ring.lastSeq + 1
            $0.event = event
        }
        // Encoding fails for anything longer than an event can be.
        guard let bytes: [UInt8] = try? message.serializedBytes() else { return false }
        return ring.append(byteCount: bytes.count) { writer in bytes.withUnsafeBytes { writer.raw($0) } }
    }

    /// Appends the text of so many tokens; tokens without text wait for the next delta. `ids` are packed varints.
    /// Returns false if there is no room.
    @inline(__always)
    private mutating func appendDelta(
        _ text: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer
    ) -> Bool {
        if text.isEmpty || hasPending { return delay(text, tokens: tokens, ids: ids) }
        let all = pendingTokens + tokens
        pendingTokens = 0
        return encodeDelta(text, tokens: all, ids: wantsTokenIDs ? ids : UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private mutating func delay(
        _ text: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer
    ) -> Bool {
        pendingTokens += tokens
        if wantsTokenIDs, !ids.isEmpty {
            pendingIDs.append(contentsOf: ids)
            hasPending = true
        }
        let mayWait = pendingTokens < Self.pendingTokensMax && pendingLogprobs.count < pendingLogprobBytesMax
        return text.isEmpty && mayWait || flushDelta(text)
    }

    /// Appends this text and accounts for all tokens that wait; has no effect if there is neither.
    private mutating func flushDelta(
        _ text: UnsafeRawBufferPointer, isReasoning: Bool = false,
        toolCalls: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> Bool {
        guard !text.isEmpty || !toolCalls.isEmpty || pendingTokens > 0 else { return true }
        let (ids, logprobs, tokens) = (pendingIDs, pendingLogprobs, pendingTokens)
        pendingIDs.removeAll(keepingCapacity: true)
        pendingLogprobs = []
        hasPending = false
        pendingTokens = 0
        return ids.withUnsafeBytes { ids in
            logprobs.withUnsafeBytes {
                encodeDelta(
                    text, isReasoning: isReasoning, tokens: tokens, ids: ids, logprobs: $0, toolCalls: toolCalls)
            }
        }
    }

    /// `ChatEvent { seq = 1; Delta delta = 4 { text = 1; token_count = 2; token_ids = 3 [packed]; reasoning = 4; logprobs = 5;
    /// tool_calls = 6 } }` in inference.proto: the hot path, encoded in place. `text` is the delta's text or its reasoning.
    @inline(__always)
    private mutating func encodeDelta(
        _ text: UnsafeRawBufferPointer, isReasoning: Bool = false, tokens: UInt32, ids: UnsafeRawBufferPointer,
        logprobs: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        toolCalls: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> Bool {
        let seq = ring.lastSeq + 1
        var delta = WireSize.field(2, varint: UInt64(tokens))
        // The field numbers 1 and 4 take as many bytes.
        if !text.isEmpty { delta += WireSize.field(1, byteCount: text.count) }
        if !ids.isEmpty { delta += WireSize.field(3, byteCount: ids.count) }
        if !logprobs.isEmpty { delta += WireSize.field(5, byteCount: logprobs.count) }
        if !toolCalls.isEmpty { delta += WireSize.field(6, byteCount: toolCalls.count) }
        let byteCount = WireSize.field(1, varint: seq) + WireSize.field(4, byteCount: delta)
        let hasRoom = ring.append(byteCount: byteCount) { writer in
            writer.field(1, varint: seq)
            writer.field(4, byteCount: delta)
            if !text.isEmpty { writer.field(isReasoning ? 4 : 1, bytes: text) }
            writer.field(2, varint: UInt64(tokens))
            if !ids.isEmpty { writer.field(3, bytes: ids) }
            if !logprobs.isEmpty { writer.field(5, bytes: logprobs) }
            if !toolCalls.isEmpty { writer.field(6, bytes: toolCalls) }
        }
        if hasRoom { tokensSent += tokens }
        return hasRoom
    }
}
