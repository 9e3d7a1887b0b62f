internal import BackendIPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import WireFormat

/// One completion of a turn: what its backend has sent of it, and what is still held back. Pure. Its turn (`TurnState`)
/// owns the ring that its events go to; where there is no room in it, the methods say so and the turn fails.
struct ChoiceState {
    /// It is interrupted while its backend's process is lost, until it goes on with another one.
    enum Phase: Equatable { case waiting, running, interrupted, over }

    /// What came of some tokens.
    enum Outcome: Equatable {
        case goesOn
        /// A stop string was found: the backend is to end the sequence.
        case stopped
        /// The ring has no room, and the event is lost.
        case noRoom
    }

    /// So many tokens without text are sent without waiting for their text.
    static let pendingTokensMax: UInt32 = 256

    var phase = Phase.waiting
    /// The number of tokens that its deltas have sent. No sum of a turn's tokens overflows: `BackendConversation` takes
    /// no more of a sequence than its context has, whose length is a UInt32 too.
    var tokensSent: UInt32 = 0
    private var credit: TurnCredit
    /// Set by a stop string that was found here: tokens that the backend still sends are neither sent on nor counted.
    var matchedStop: Int?
    /// What its backend said at its end.
    var finish: Finish?
    /// Why it ended, as its consumer was told; nil: it is not whole.
    var reason: Hearth_V1_FinishReason?
    /// The ids of its tokens, while it could go on with another process.
    var generated = TokenLog()
    var keepsGenerated = false
    /// The bytes of `generated` when its process began it.
    var generatedBefore = 0

    /// Its place among the choices of the turn.
    let index: UInt32
    private let wantsTokenIDs: Bool
    private let pendingLogprobBytesMax: Int
    let stops: [String]
    var text: TextAssembler
    /// Made when the first reasoning comes.
    var reasoning: TextAssembler?
    var hasToolCalls = false
    /// Tokens whose text is still held back, their ids as packed varints, and their log-probabilities as the content of a
    /// `Logprobs`; the next delta accounts for them.
    var pendingTokens: UInt32 = 0
    var pendingIDs: [UInt8] = []
    var pendingLogprobs: [UInt8] = []
    /// Whether one of the two is not empty.
    var hasPending = false

    /// `creditTokens`: how far a backend may compute ahead of the consumer; `pendingLogprobBytesMax`: the bytes of
    /// log-probabilities that wait for their text.
    init(_ request: TurnRequest, index: Int, creditTokens: UInt32, pendingLogprobBytesMax: Int) {
        self.index = UInt32(clamping: index)
        wantsTokenIDs = request.wantsTokenIDs
        self.pendingLogprobBytesMax = pendingLogprobBytesMax
        stops = request.stopping.stop
        text = TextAssembler(stops: stops)
        credit = TurnCredit(most: creditTokens)
    }

    /// A backend has taken it, or goes on with it, and may compute so many tokens. `matchesStops`: it looks for stop strings
    /// itself. `canContinue`: another process could go on with it.
    mutating func begin(matchesStops: Bool, canContinue: Bool, granted: UInt32) {
        if phase == .waiting {
            if matchesStops { text = TextAssembler(stops: []) }
            keepsGenerated = canContinue
        }
        phase = .running
        generatedBefore = generated.byteCount
        credit.granted(granted)
    }

    /// Its process is lost, and another one goes on with it. Returns the tokens that were granted and did not come.
    mutating func interrupt() -> UInt32 {
        phase = .interrupted
        return credit.takeBack()
    }

    /// Whether another process can go on with it after its last token.
    var canContinue: Bool { phase == .running && keepsGenerated && generated.byteCount <= Self.generatedBytesMax }

    /// Together with the request, so many bytes fit into one message to a backend.
    static let generatedBytesMax = 2 << 20

    /// Whether the process that computes it has sent any of it.
    var hasBegun: Bool { generated.byteCount > generatedBefore }

    /// Whether the process that computes it has sent enough of it to show that it does no harm.
    var hasProgressed: Bool { generated.hasIDs(Self.progressTokens, behind: generatedBefore) }

    /// After so many tokens a request is not suspected of having ended its process at once.
    static let progressTokens = 4

    /// How many more tokens its backend should be allowed to compute; 0: none now.
    @inline(__always)
    func wanted(isCongested: Bool) -> UInt32 {
        let wanted = credit.wanted(isCongested: isCongested)
        return wanted == 0 || phase == .over || matchedStop != nil ? 0 : wanted
    }

    mutating func granted(_ tokens: UInt32) { credit.granted(tokens) }

    var hasNoCredit: Bool { phase == .running && credit.outstanding == 0 }

    /// Nothing more comes of it. Returns the tokens that were granted and did not come.
    mutating func end() -> UInt32 {
        phase = .over
        generated.removeAll()
        generatedBefore = 0
        return credit.takeBack()
    }
}

// MARK: - Tokens

extension ChoiceState {
    /// Tokens came after a stop string was found, before the backend heard of it: they are neither sent nor charged.
    mutating func cameTooLate(_ tokens: UInt32) { credit.came(tokens) }

    /// Its backend has sent a run of so many tokens.
    @inline(__always)
    mutating func came(_ run: TokenRunView, tokens: UInt32, _ ring: inout EventRing) -> Outcome {
        credit.came(tokens)
        if keepsGenerated { generated.append(run.packedTokenIDs) }
        if !run.isPlain { return cameRare(run, tokens: tokens, &ring) }
        return cameText(run.text, tokens: tokens, ids: run.packedTokenIDs, &ring)
    }

    @inline(__always)
    private mutating func cameText(
        _ bytes: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer, _ ring: inout EventRing
    ) -> Outcome {
        let hasRoom: Bool
        switch text.append(bytes) {
        case .asGiven: hasRoom = appendDelta(bytes, tokens: tokens, ids: ids, &ring)
        case .text(let bytes):
            hasRoom = bytes.withUnsafeBytes { appendDelta($0, tokens: tokens, ids: ids, &ring) }
        case .stopped(let bytes, let stop):
            matchedStop = stop
            hasRoom = bytes.withUnsafeBytes { appendDelta($0, tokens: tokens, ids: ids, &ring) }
            if hasRoom { return .stopped }
        }
        return hasRoom ? .goesOn : .noRoom
    }

    /// A run with reasoning, log-probabilities or tool calls.
    @inline(never)
    private mutating func cameRare(_ run: TokenRunView, tokens: UInt32, _ ring: inout EventRing) -> Outcome {
        let rare = run.rare
        pendingTokens += tokens
        if wantsTokenIDs { pendingIDs.append(contentsOf: run.packedTokenIDs) }
        pendingLogprobs.append(contentsOf: rare.logprobs)
        hasPending = !pendingIDs.isEmpty || !pendingLogprobs.isEmpty
        guard rare.reasoning.isEmpty || cameReasoning(rare.reasoning, &ring) else { return .noRoom }
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        let outcome = cameText(run.text, tokens: 0, ids: none, &ring)
        // What follows a stop string is not sent.
        guard !rare.toolCalls.isEmpty, outcome == .goesOn else { return outcome }
        hasToolCalls = true
        return flushDelta(none, toolCalls: rare.toolCalls, &ring) ? .goesOn : .noRoom
    }

    /// Reasoning is in a delta of its own, which accounts for all tokens of its run. Returns false if there is no room.
    private mutating func cameReasoning(_ bytes: UnsafeRawBufferPointer, _ ring: inout EventRing) -> Bool {
        if reasoning == nil { reasoning = TextAssembler(stops: []) }
        return switch reasoning?.append(bytes) {
        case .asGiven: flushDelta(bytes, isReasoning: true, &ring)
        case .text(let bytes): bytes.isEmpty || bytes.withUnsafeBytes { flushDelta($0, isReasoning: true, &ring) }
        case .stopped, nil: true
        }
    }
}

// MARK: - The end

extension ChoiceState {
    /// It is whole: appends what was held back, and `Finished`. Returns false if there is no room. `finish`: what its
    /// backend said, if one had it.
    mutating func complete(_ reason: FinishReason, _ finish: Finish?, _ ring: inout EventRing) -> Bool {
        self.finish = finish
        // Tokens whose text was held back, and then turned out to be part of a stop, count all the same.
        let rest = matchedStop == nil ? text.finish() : []
        let thought = reasoning?.finish() ?? []
        let finished = finished(reason, finish)
        self.reason = finished.reason
        return thought.withUnsafeBytes { $0.isEmpty || flushDelta($0, isReasoning: true, &ring) }
            && rest.withUnsafeBytes { flushDelta($0, &ring) }
            && ring.append(.finished(finished), choice: index)
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

    /// Prompt tokens that were computed for it.
    var computedPromptTokens: UInt32 {
        finish.map { $0.promptTokens - min($0.cachedPromptTokens, $0.promptTokens) } ?? 0
    }

    /// Its place in the usage of its turn.
    var usage: Hearth_V1_ChoiceUsage {
        .with {
            $0.completionTokens = tokensSent
            $0.cachedPromptTokens = finish?.cachedPromptTokens ?? 0
            $0.draftedTokens = finish?.draftedTokens ?? 0
            // Tokens behind a stop string were sent by the backend only.
            $0.acceptedDraftTokens = min(finish?.acceptedDraftTokens ?? 0, tokensSent)
        }
    }
}

// MARK: - Deltas

extension ChoiceState {
    /// Appends the text of so many tokens; tokens without text wait for the next delta. `ids` are packed varints.
    /// Returns false if there is no room.
    @inline(__always)
    private mutating func appendDelta(
        _ text: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer, _ ring: inout EventRing
    ) -> Bool {
        if text.isEmpty || hasPending { return delay(text, tokens: tokens, ids: ids, &ring) }
        let all = pendingTokens + tokens
        pendingTokens = 0
        let ids = wantsTokenIDs ? ids : UnsafeRawBufferPointer(start: nil, count: 0)
        return encodeDelta(text, tokens: all, ids: ids, &ring)
    }

    private mutating func delay(
        _ text: UnsafeRawBufferPointer, tokens: UInt32, ids: UnsafeRawBufferPointer, _ ring: inout EventRing
    ) -> Bool {
        pendingTokens += tokens
        if wantsTokenIDs, !ids.isEmpty {
            pendingIDs.append(contentsOf: ids)
            hasPending = true
        }
        let mayWait = pendingTokens < Self.pendingTokensMax && pendingLogprobs.count < pendingLogprobBytesMax
        return text.isEmpty && mayWait || flushDelta(text, &ring)
    }

    /// Appends this text and accounts for all tokens that wait; has no effect if there is neither.
    private mutating func flushDelta(
        _ text: UnsafeRawBufferPointer, isReasoning: Bool = false,
        toolCalls: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), _ ring: inout EventRing
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
                    text, isReasoning: isReasoning, tokens: tokens, ids: ids, logprobs: $0, toolCalls: toolCalls, &ring)
            }
        }
    }

    private var choiceByteCount: Int { index == 0 ? 0 : WireSize.field(7, varint: UInt64(index)) }

    /// `ChatEvent { seq = 1; Delta delta = 4 { text = 1; token_count = 2; token_ids = 3 [packed]; reasoning = 4; logprobs = 5;
    /// tool_calls = 6 }; choice = 7 }` in inference.proto: the hot path, encoded in place. `text` is the delta's text or its
    /// reasoning.
    @inline(__always)
    private mutating func encodeDelta(
        _ text: UnsafeRawBufferPointer, isReasoning: Bool = false, tokens: UInt32, ids: UnsafeRawBufferPointer,
        logprobs: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        toolCalls: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), _ ring: inout EventRing
    ) -> Bool {
        let seq = ring.lastSeq + 1
        var delta = WireSize.field(2, varint: UInt64(tokens))
        // The field numbers 1 and 4 take as many bytes.
        if !text.isEmpty { delta += WireSize.field(1, byteCount: text.count) }
        if !ids.isEmpty { delta += WireSize.field(3, byteCount: ids.count) }
        if !logprobs.isEmpty { delta += WireSize.field(5, byteCount: logprobs.count) }
        if !toolCalls.isEmpty { delta += WireSize.field(6, byteCount: toolCalls.count) }
        let byteCount = WireSize.field(1, varint: seq) + WireSize.field(4, byteCount: delta) + choiceByteCount
        let hasRoom = ring.append(byteCount: byteCount) { writer in
            writer.field(1, varint: seq)
            writer.field(4, byteCount: delta)
            if !text.isEmpty { writer.field(isReasoning ? 4 : 1, bytes: text) }
            writer.field(2, varint: UInt64(tokens))
            if !ids.isEmpty { writer.field(3, bytes: ids) }
            if !logprobs.isEmpty { writer.field(5, bytes: logprobs) }
            if !toolCalls.isEmpty { writer.field(6, bytes: toolCalls) }
            if index > 0 { writer.field(7, varint: UInt64(index)) }
        }
        if hasRoom { tokensSent += tokens }
        return hasRoom
    }
}
