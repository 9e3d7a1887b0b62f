internal import BackendIPC
internal import ByteBuffer
internal import WireFormat

/// One decode step: which sequences may compute, and where their tokens go. The tokens of all sequences leave in one
/// frame when `Engine.step` returns.
public struct Step: ~Copyable {
    /// What the agent has said within a step.
    public struct News: Sendable {
        /// The sequences that nobody wants any more: `Engine.cancel` is called for each.
        public internal(set) var cancelled: [Int] = []
        /// The sequences that begin, or have more credit.
        public internal(set) var asking: [Int] = []
        /// The embeddings that nobody wants any more: `Engine.cancelEmbedding` is called for each.
        public internal(set) var cancelledEmbeddings: [Int] = []
    }

    /// The state of a sequence.
    struct Slot {
        var isRunning = false
        var credit: UInt32 = 0
        /// Whether each token is a run of its own, because the agent matches stop strings and has to know which token
        /// completes one.
        var sendsSingly = false
        var draftedTokens: UInt32 = 0
        var acceptedDraftTokens: UInt32 = 0
    }

    /// One run whose ids and texts lie in the shared buffers.
    struct Run {
        var sequence: Int
        var tokenCount: Int
        var ids: Range<Int>
        var text: Range<Int>
        /// The fields that a `RareParts` encodes.
        var rare: Range<Int>
        var finish: Finish?
    }

    /// The running sequences that had credit when the step began.
    public internal(set) var sequences: [Int] = []
    /// The queries that wait for vectors or scores, in the order in which they came.
    public internal(set) var embeddings: [Int] = []
    /// Answers the agent's pings during a step, as one that gets on; other messages are handled after the step. Call it
    /// whenever a part of the step is computed, as often as you like, from the thread that called `Engine.step`. It
    /// returns at once; if the agent is gone, it ends the process.
    public internal(set) var attend: () -> Void = {}
    /// What `attend` has heard within this step, all of which happens after it. A step that computes only for cancelled
    /// sequences may end early.
    public internal(set) var news: () -> News = { News() }
    /// Set it in a step that gives nothing, when what it waits for has got further: the agent restarts a backend that has
    /// work and gets no further.
    public var hasProgress = false

    var slots: [Slot] = []
    var running: [Int] = []
    var runs: [Run] = []
    var ids = ByteQueue(idleBytesMax: BackendSocket.idleBytesMax)
    var text = ByteQueue(idleBytesMax: BackendSocket.idleBytesMax)
    var logprobs = ByteQueue(idleBytesMax: BackendSocket.idleBytesMax)
    var toolCalls = ByteQueue(idleBytesMax: BackendSocket.idleBytesMax)
    var rare = ByteQueue(idleBytesMax: BackendSocket.idleBytesMax)
    /// The open run: its sequence (-1: none) and where it begins.
    var openSequence = -1
    var openTokens = 0
    var openIDs = 0
    var openText = 0
    var openLogprobs = 0
    var openToolCalls = 0
    /// Where its reasoning begins; nil: it has none.
    var openReasoning: Int?
    /// The answers of this step, by their queries.
    var embedded: [(query: Int, result: Result<EmbeddingResult, EngineFault>, tokens: Int)] = []
    /// The first misuse of this type by the engine.
    var misuse: String?
    /// Raw bytes to send after the batch; only a test backend that breaks the contract uses this.
    var rawOutput: [UInt8] = []
    /// Set by a test backend that breaks the contract: its runs are not checked.
    var isUnchecked = false
    /// Tokens emitted since the process began.
    var tokens: UInt64 = 0

    init() {}

    /// The number of tokens that the sequence may still emit.
    public func credit(of sequence: Int) -> Int {
        slots.indices.contains(sequence) ? Int(slots[sequence].credit) : 0
    }

    /// Emits one token of a sequence that has credit, with its text: at most 1,024 bytes of UTF-8 that may begin or end
    /// inside a scalar. Emit the tokens of one sequence in a row: they are then one run, unless the agent looks for stop
    /// strings. `reasoning`: text of the token, or of earlier ones, that is not the model's answer and comes before `text`;
    /// needs the capability `.reasoning`. `logprobs`: what the request asked for (`GenerateRequest.logprobs`), with the
    /// capability `.logprobs`; nil where it asked for none.
    public mutating func emit(
        _ sequence: Int, token: UInt32, text bytes: UnsafeRawBufferPointer,
        reasoning: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        logprobs: TokenLogprobs? = nil, toolCalls: [ToolCallPart] = []
    ) {
        guard slots.indices.contains(sequence), slots[sequence].credit > 0 else {
            return noteMisuse("emitted a token for the sequence \(sequence), which has no credit")
        }
        slots[sequence].credit &-= 1
        append(sequence, token: token, text: bytes, reasoning: reasoning, toolCalls: toolCalls)
        if let logprobs { add(logprobs.entry(of: token)) }
    }

    public mutating func emit(_ sequence: Int, token: UInt32, text: String) {
        var text = text
        text.withUTF8 { emit(sequence, token: token, text: UnsafeRawBufferPointer($0)) }
    }

    /// Notes that `tokens` were drafted for a running sequence, and that `accepted` of them were emitted; the sums are
    /// reported when it ends.
    public mutating func noteDraft(_ sequence: Int, tokens: Int, accepted: Int) {
        guard slots.indices.contains(sequence), slots[sequence].isRunning else {
            return noteMisuse("drafted tokens for the sequence \(sequence), which is not running")
        }
        slots[sequence].draftedTokens &+= UInt32(clamping: tokens)
        slots[sequence].acceptedDraftTokens &+= UInt32(clamping: accepted)
    }

    /// Ends a running sequence; its number is free again. `text`, `reasoning` and `toolCalls` are of earlier tokens and were
    /// held back; at most 16 KiB.
    public mutating func finish(
        _ sequence: Int, _ ending: Ending, prompt: PromptTokens,
        text: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        reasoning: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), toolCalls: [ToolCallPart] = []
    ) {
        var finish = Finish(
            .reason(ending == .length ? .length : .stop), promptTokens: UInt32(clamping: prompt.total),
            cachedPromptTokens: UInt32(clamping: min(prompt.cached, prompt.total)))
        switch ending {
        case .stopToken(let id): finish.stopTokenID = id
        case .stopString(let place): finish.stop = UInt32(clamping: place)
        case .endOfTurn, .length: break
        }
        end(sequence, finish, text: text, reasoning: reasoning, toolCalls: toolCalls)
    }

    /// Ends one running sequence with a fault; its number is free again.
    public mutating func fail(_ sequence: Int, _ fault: EngineFault, prompt: PromptTokens = PromptTokens(total: 0)) {
        let finish = Finish(
            .fault(Fault(fault)), promptTokens: UInt32(clamping: prompt.total),
            cachedPromptTokens: UInt32(clamping: min(prompt.cached, prompt.total)))
        end(sequence, finish)
    }
}

extension Step {
    /// Answers an open query of `embeddings`.
    public mutating func finish(embedding query: Int, _ result: EmbeddingResult) {
        answer(query, .success(result), tokens: result.tokens.reduce(0, +))
    }

    /// Ends an open query with a fault. `tokens`: those that were computed for it.
    public mutating func fail(embedding query: Int, _ fault: EngineFault, tokens: Int = 0) {
        answer(query, .failure(fault), tokens: tokens)
    }

    private mutating func answer(_ query: Int, _ result: Result<EmbeddingResult, EngineFault>, tokens: Int) {
        guard let index = embeddings.firstIndex(of: query) else {
            return noteMisuse("answered the query \(query), which is not open")
        }
        embeddings.remove(at: index)
        embedded.append((query, result, tokens))
    }
}

extension Step {
    /// Makes the tables for this many sequences.
    mutating func prepare(sequences count: Int) { slots = Array(repeating: Slot(), count: count) }

    mutating func begin(_ sequence: Int, credit: UInt32) {
        slots[sequence] = Slot(isRunning: true, credit: credit)
        running.append(sequence)
    }

    func isRunning(_ sequence: Int) -> Bool { slots.indices.contains(sequence) && slots[sequence].isRunning }

    mutating func grant(_ sequence: Int, tokens: UInt32) {
        slots[sequence].credit = UInt32(clamping: UInt64(slots[sequence].credit) + UInt64(tokens))
    }

    /// Whether there is something to compute; `sequences` then has all that have credit.
    mutating func gather() -> Bool {
        sequences.removeAll(keepingCapacity: true)
        for sequence in running where slots[sequence].credit > 0 { sequences.append(sequence) }
        return !sequences.isEmpty || !embeddings.isEmpty
    }

    mutating func end(
        _ sequence: Int, _ finish: Finish,
        text bytes: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        reasoning: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), toolCalls: [ToolCallPart] = []
    ) {
        guard slots.indices.contains(sequence), slots[sequence].isRunning else {
            return noteMisuse("ended the sequence \(sequence), which is not running")
        }
        let byteCount = bytes.count + reasoning.count + Self.byteCount(toolCalls)
        guard byteCount <= ContractLimits.finishTextBytesMax else {
            return noteMisuse("ended the sequence \(sequence) with \(byteCount) bytes of text")
        }
        var finish = finish
        finish.draftedTokens = slots[sequence].draftedTokens
        finish.acceptedDraftTokens = slots[sequence].acceptedDraftTokens
        open(sequence, alone: !reasoning.isEmpty || !toolCalls.isEmpty)
        text.append(bytes)
        add(reasoning: reasoning)
        add(toolCalls)
        closeRun(finish)
        slots[sequence] = Slot()
        if let index = running.firstIndex(of: sequence) { running.swapRemove(at: index) }
    }

    mutating func append(
        _ sequence: Int, token: UInt32, text bytes: UnsafeRawBufferPointer,
        reasoning: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), toolCalls: [ToolCallPart] = []
    ) {
        let byteCount = bytes.count + reasoning.count + Self.byteCount(toolCalls)
        guard byteCount <= ContractLimits.tokenTextBytesMax else {
            return noteMisuse("emitted a token of \(byteCount) bytes for the sequence \(sequence)")
        }
        let isAlone =
            !reasoning.isEmpty || !toolCalls.isEmpty || slots.indices.contains(sequence) && slots[sequence].sendsSingly
        open(sequence, alone: isAlone)
        ids.append(varint: UInt64(token))
        text.append(bytes)
        add(reasoning: reasoning)
        if !toolCalls.isEmpty { add(toolCalls) }
        openTokens &+= 1
        tokens &+= 1
    }

    /// Makes this the reasoning of the open run, behind its text.
    private mutating func add(reasoning: UnsafeRawBufferPointer) {
        guard !reasoning.isEmpty else { return }
        openReasoning = text.count
        text.append(reasoning)
    }

    private static func byteCount(_ toolCalls: [ToolCallPart]) -> Int { toolCalls.reduce(0) { $0 + $1.byteCount } }

    private mutating func add(_ calls: [ToolCallPart]) {
        for call in calls {
            let piece = call.piece
            toolCalls.encode(byteCount: piece.encodedSize) { piece.encode(to: &$0) }
        }
    }

    private mutating func add(_ entry: TokenLogprob) {
        logprobs.encode(byteCount: entry.encodedSize) { entry.encode(to: &$0) }
    }

    /// Continues the open run if it is this sequence's, not too long and without reasoning and tool calls, else begins another.
    private mutating func open(_ sequence: Int, alone: Bool) {
        let length = (ids.count &- openIDs) &+ (text.count &- openText) &+ (logprobs.count &- openLogprobs)
        let isPlain = openReasoning == nil && openToolCalls == toolCalls.count
        if openSequence == sequence, !alone, isPlain, length < Limits.runBytesMax { return }
        closeRun(nil)
        openSequence = sequence
    }

    /// Encodes what the open run has beside ids and text.
    private mutating func appendRare() {
        let isPlain = openReasoning == nil && openLogprobs == logprobs.count && openToolCalls == toolCalls.count
        if isPlain { return }
        let parts = RareParts(
            reasoning: UnsafeRawBufferPointer(rebasing: text.bytes[(openReasoning ?? text.count)...]),
            logprobs: UnsafeRawBufferPointer(rebasing: logprobs.bytes[openLogprobs...]),
            toolCalls: UnsafeRawBufferPointer(rebasing: toolCalls.bytes[openToolCalls...]))
        rare.encode(byteCount: parts.encodedSize) { parts.encode(to: &$0) }
    }

    mutating func closeRun(_ finish: Finish?) {
        if openSequence >= 0 {
            let begin = rare.count
            appendRare()
            runs.append(
                Run(
                    sequence: openSequence, tokenCount: openTokens, ids: openIDs..<ids.count,
                    text: openText..<(openReasoning ?? text.count), rare: begin..<rare.count, finish: finish))
        }
        openReasoning = nil
        openSequence = -1
        openTokens = 0
        openIDs = ids.count
        openText = text.count
        openLogprobs = logprobs.count
        openToolCalls = toolCalls.count
    }

    /// Removes the runs once they are encoded.
    mutating func removeRuns() {
        runs.removeAll(keepingCapacity: true)
        ids.removeAll()
        text.removeAll()
        logprobs.removeAll()
        toolCalls.removeAll()
        rare.removeAll()
        openIDs = 0
        openText = 0
        openLogprobs = 0
        openToolCalls = 0
    }

    mutating func noteMisuse(_ what: String) {
        if misuse == nil { misuse = "the engine \(what)" }
    }
}

extension Array {
    /// Removes an element in constant time; the last one moves to its place.
    fileprivate mutating func swapRemove(at index: Int) {
        swapAt(index, count - 1)
        removeLast()
    }
}
