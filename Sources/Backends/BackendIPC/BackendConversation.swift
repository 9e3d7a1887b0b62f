internal import WireFormat

/// The state machine of the contract between the agent and one backend, as one of the two ends sees it: the messages so
/// far, the messages that may come next, and the credit of each sequence. A pure value: no input or output, no clock.
/// Its end passes it every message in both directions, before sending and after decoding; it throws a sentence for the
/// backend's author when a message breaks the contract. One thread uses it.
package struct BackendConversation: Sendable {
    /// The end whose view this is. The two differ only about messages that may cross on the wire.
    package enum End: Sendable {
        case agent
        case backend
    }

    /// The phase of the conversation.
    package enum Phase: Equatable, Sendable {
        /// The backend has to send `Hello`.
        case awaitingHello
        /// The agent has to answer with `Welcome` or `Reject`.
        case awaitingWelcome
        /// The agent has to send `Load`.
        case awaitingLoad
        /// The backend loads and has to send `Loaded`.
        case loading
        /// The backend has to send `Inspected`.
        case inspecting
        /// What another agent had begun on it ends; then it is ready.
        case settling
        /// Sequences run.
        case ready
        /// `Reject`, `Inspected` or a fatal `Fault` was sent; only the end of the process can follow.
        case over
    }

    fileprivate enum Query { case count, tokens, text }

    package let end: End
    package internal(set) var phase = Phase.awaitingHello
    /// `Shutdown` was sent: no new sequence may begin.
    package private(set) var isShuttingDown = false
    /// The backend's first message.
    package private(set) var hello: Hello?
    /// The revision in force, once `Welcome` was sent.
    package private(set) var revision: UInt32?
    /// The agent's request to load the model.
    package private(set) var load: Load?
    /// The backend's offer once its model was ready.
    package private(set) var loaded: Loaded?
    /// The steps that the last `Pong` reported.
    package private(set) var steps: UInt64 = 0
    private var tokens: UInt64 = 0
    var sequences = SequenceTable()
    /// Whether the backend may send reasoning, and whether it looks for stop strings itself: asked for every run.
    private(set) var tellsReasoning = false
    private(set) var matchesStops = false
    /// The open queries, and what each asks for.
    private var queries: [UInt32: Query] = [:]
    /// The open `Embed`, and the shape of the answer to each.
    private var embeds: [UInt32: EmbedShape] = [:]
    private var pings: [UInt64] = []
    /// What has yet to come for the agent before this one.
    var inherited = Inheritance()

    package init(end: End) { self.end = end }

    /// Sequences begun and not finished.
    package var runningSequences: Int { sequences.running }
    package func isRunning(_ sequence: UInt32) -> Bool { sequences[sequence]?.isRunning ?? false }
    /// Whether some unfinished sequence has credit or was cancelled, or an `Embed` is open.
    package var isBusy: Bool { sequences.hasWork || !embeds.isEmpty }
    /// The `Embed` that the backend has yet to answer, those of the agent before this one included.
    package var openEmbeds: Int { embeds.count + inherited.embeds.count }
    package func isOpen(embed query: UInt32) -> Bool { embeds[query] != nil }
    /// Tokens that the sequence may still compute.
    package func credit(of sequence: UInt32) -> UInt32 { sequences[sequence]?.credit ?? 0 }
    /// Tokens of the sequence's completion so far, those of an earlier process included.
    package func tokens(of sequence: UInt32) -> UInt64 { sequences[sequence]?.tokens ?? 0 }
    /// How far the sequence's tool calls have come.
    package func toolCalls(of sequence: UInt32) -> ToolCallProgress {
        sequences[sequence] == nil ? ToolCallProgress() : sequences.toolCallProgress(of: sequence)
    }
    /// Whether the backend named this capability in its `Hello`, and its model has it.
    package func isCapable(of capability: String) -> Bool {
        hello?.capabilities.contains(capability) ?? false && loaded?.lacking.contains(capability) != true
    }

    /// The highest revision that both ends support, or nil.
    package static func commonRevision(
        _ hello: Hello, supported: ClosedRange<UInt32> = ContractLimits.revisions
    ) -> UInt32? {
        let highest = min(hello.maxRevision, supported.upperBound)
        return highest >= max(hello.minRevision, supported.lowerBound) ? highest : nil
    }
}

// Messages of the backend.
extension BackendConversation {
    /// Checks a message of the backend against the contract. `next` checks the runs of a `TokenBatch` one by one.
    package mutating func backendSays(_ message: borrowing BackendMessage) throws(ContractViolation) {
        guard phase != .over else {
            throw ContractViolation(.messageInTurn, "\(message.name) came after the conversation's end")
        }
        switch message {
        case .hello(let hello): try heard(hello)
        case .loadProgress(let progress): try heard(progress)
        case .loaded(let loaded): try heard(loaded)
        case .tokens: try demandReady("TokenBatch")
        case .tokenCount(let count): try heard(count)
        case .pong(let pong): try heard(pong)
        case .fatal(let fault):
            guard phase != .awaitingHello else {
                throw ContractViolation(.helloFirst, "the first message must be Hello, not Fault")
            }
            try check(fault)
            phase = .over
        case .inspected(let inspected): try heard(inspected)
        case .tokenized(let tokenized): try heard(tokenized)
        case .embedded(let embedded): try heard(embedded)
        }
    }

    /// The same for a `TokenBatch` alone. It changes nothing, and is `mutating` so that a call does not copy the
    /// conversation.
    /// False: its runs are for the agent before this one, and `settle` takes them.
    package mutating func backendSaysTokens() throws(ContractViolation) -> Bool {
        if phase == .ready { return true }
        guard phase != .over else {
            throw ContractViolation(.messageInTurn, "TokenBatch came after the conversation's end")
        }
        try demandReady("TokenBatch")
        return false
    }

    private func demandReady(_ name: String) throws(ContractViolation) {
        if phase == .awaitingHello {
            throw ContractViolation(.helloFirst, "the first message must be Hello, not \(name)")
        }
        guard phase == .ready || phase == .settling else {
            throw ContractViolation(.messageInTurn, "\(name) came before Loaded")
        }
    }

    private mutating func heard(_ hello: Hello) throws(ContractViolation) {
        guard phase == .awaitingHello else { throw ContractViolation(.helloFirst, "Hello came twice") }
        guard hello.minRevision >= 1, hello.minRevision <= hello.maxRevision else {
            throw ContractViolation(
                .revisions,
                "Hello names the revisions \(hello.minRevision) to \(hello.maxRevision); they begin at 1 and rise")
        }
        guard PlainName.isValid(hello.name, bytesMax: ContractLimits.nameBytesMax) else {
            throw ContractViolation(
                .helloFields,
                "Hello.name is not 1 to \(ContractLimits.nameBytesMax) letters, digits, '.', '_' or '-'")
        }
        guard hello.version.utf8.count <= ContractLimits.versionBytesMax else {
            throw ContractViolation(
                .helloFields, "Hello.version is longer than \(ContractLimits.versionBytesMax) bytes")
        }
        guard hello.capabilities.count <= ContractLimits.capabilitiesMax,
            hello.capabilities.allSatisfy({ (1...ContractLimits.capabilityBytesMax).contains($0.utf8.count) })
        else {
            throw ContractViolation(
                .capabilities,
                "Hello.capabilities holds more than \(ContractLimits.capabilitiesMax) names,"
                    + " or one that is not 1 to \(ContractLimits.capabilityBytesMax) bytes")
        }
        guard Set(hello.capabilities).count == hello.capabilities.count else {
            throw ContractViolation(.capabilities, "Hello.capabilities holds a name twice")
        }
        self.hello = hello
        tellsReasoning = hello.capabilities.contains(Hello.reasoning)
        matchesStops = hello.capabilities.contains(Hello.stopStrings)
        phase = .awaitingWelcome
    }

    private func heard(_ progress: LoadProgress) throws(ContractViolation) {
        guard phase == .loading else {
            throw ContractViolation(.messageInTurn, "LoadProgress came while nothing was being loaded")
        }
        guard progress.fraction >= 0, progress.fraction <= 1 else {
            throw ContractViolation(.loadProgress, "LoadProgress.fraction is \(progress.fraction); it goes from 0 to 1")
        }
    }

    private mutating func heard(_ loaded: Loaded) throws(ContractViolation) {
        guard phase == .loading, let load else {
            throw ContractViolation(.messageInTurn, "Loaded came while nothing was being loaded")
        }
        guard loaded.maxContextTokens >= 1 else {
            throw ContractViolation(.loadedBounds, "Loaded.max_context_tokens is 0")
        }
        guard load.contextTokens == 0 || loaded.maxContextTokens <= load.contextTokens else {
            throw ContractViolation(
                .loadedBounds,
                "Loaded.max_context_tokens is \(loaded.maxContextTokens);"
                    + " it is at most Load.context_tokens, here \(load.contextTokens)")
        }
        guard loaded.maxSequences >= 1, loaded.maxSequences <= load.maxSequences else {
            throw ContractViolation(
                .loadedBounds,
                "Loaded.max_sequences is \(loaded.maxSequences);"
                    + " it is at least 1 and at most Load.max_sequences, here \(load.maxSequences)")
        }
        guard loaded.samplingDefaults.count <= ContractLimits.samplingDefaultsBytesMax else {
            throw ContractViolation(
                .loadedOffer,
                "Loaded.sampling_defaults has \(loaded.samplingDefaults.count) bytes; at most"
                    + " \(ContractLimits.samplingDefaultsBytesMax)")
        }
        try checkOffer(loaded)
        self.loaded = loaded
        sequences = SequenceTable(count: Int(loaded.maxSequences))
        phase = .ready
    }

    private func checkOffer(_ loaded: Loaded) throws(ContractViolation) {
        guard loaded.lacking.count <= ContractLimits.capabilitiesMax,
            loaded.lacking.allSatisfy({ (1...ContractLimits.capabilityBytesMax).contains($0.utf8.count) })
        else {
            throw ContractViolation(
                .loadedOffer,
                "Loaded.lacking holds more than \(ContractLimits.capabilitiesMax) names,"
                    + " or one that is not 1 to \(ContractLimits.capabilityBytesMax) bytes")
        }
        let embeds = isCapable(of: Hello.embed) && !loaded.lacking.contains(Hello.embed)
        guard (embeds ? 1 : 0)...ContractLimits.embeddingDimensionsMax ~= Int(loaded.embeddingDimensions) else {
            throw ContractViolation(
                .loadedOffer,
                "Loaded.embedding_dimensions is \(loaded.embeddingDimensions); it is at most"
                    + " \(ContractLimits.embeddingDimensionsMax), and at least 1 where the model embeds")
        }
    }

    private mutating func heard(_ inspected: Inspected) throws(ContractViolation) {
        guard phase == .inspecting, let load else {
            throw ContractViolation(.messageInTurn, "Inspected came and was not asked for")
        }
        guard inspected.memoryBytes >= 1 else { throw ContractViolation(.inspected, "Inspected.memory_bytes is 0") }
        guard inspected.contextTokens >= 1, load.contextTokens == 0 || inspected.contextTokens <= load.contextTokens,
            inspected.maxSequences >= 1, inspected.maxSequences <= load.maxSequences
        else {
            throw ContractViolation(
                .inspected,
                "Inspected tells of \(inspected.maxSequences) sequences of \(inspected.contextTokens) tokens; each is at"
                    + " least 1, and at most what Load names")
        }
        let texts = [
            inspected.architecture, inspected.name, inspected.quantisation, inspected.licence, inspected.templateFlaw,
        ]
        guard texts.allSatisfy({ $0.utf8.count <= Inspected.textBytesMax }) else {
            throw ContractViolation(.inspected, "a text of Inspected is longer than \(Inspected.textBytesMax) bytes")
        }
        phase = .over
    }

    private mutating func heard(_ count: TokenCount) throws(ContractViolation) {
        try demandReady("TokenCount")
        guard queries[count.query] == .count else {
            if inherited.takesAnswer(queries[count.query] == nil) { return }
            throw ContractViolation(.openQuery, "TokenCount answers the query \(count.query), which is not open")
        }
        queries[count.query] = nil
        switch count.result {
        case .success: break
        case .failure(let fault): try check(fault)
        case nil: throw ContractViolation(.tokenizedBounds, "TokenCount holds neither tokens nor a fault")
        }
    }

    private mutating func heard(_ tokenized: Tokenized) throws(ContractViolation) {
        try demandReady("Tokenized")
        guard let query = queries[tokenized.query], query != .count else {
            if inherited.takesAnswer(queries[tokenized.query] == nil) { return }
            throw ContractViolation(.openQuery, "Tokenized answers the query \(tokenized.query), which is not open")
        }
        switch tokenized.result {
        case .success(let content):
            guard content.bytes.count <= ContractLimits.tokenizedBytesMax else {
                throw ContractViolation(
                    .tokenizedBounds,
                    "the result of Tokenized has \(content.bytes.count) bytes;"
                        + " at most \(ContractLimits.tokenizedBytesMax)")
            }
            guard tokenized.longestTextBytes <= ContractLimits.tokenTextBytesMax else {
                throw ContractViolation(
                    .tokenizedBounds,
                    "a token of Tokenized has a text of \(tokenized.longestTextBytes) bytes;"
                        + " at most \(ContractLimits.tokenTextBytesMax)")
            }
            guard content.asked == query else {
                throw ContractViolation(
                    .tokenizedBounds, "Tokenized holds \(content.asked) where \(query) was asked for")
            }
        case .failure(let fault): try check(fault)
        case nil: throw ContractViolation(.tokenizedBounds, "Tokenized holds neither tokens nor a text nor a fault")
        }
        queries[tokenized.query] = nil
    }

    private mutating func heard(_ embedded: Embedded) throws(ContractViolation) {
        try demandReady("Embedded")
        guard let shape = embeds[embedded.query] else {
            if inherited.embeds.remove(embedded.query) != nil { return }
            throw ContractViolation(.openQuery, "Embedded answers the query \(embedded.query), which is not open")
        }
        if let fault = embedded.fault {
            try check(fault)
            guard embedded.values.isEmpty, embedded.tokens.count <= 1, embedded.leftOutTokens.isEmpty else {
                throw ContractViolation(.embeddedShape, "Embedded holds a fault, and numbers beside it")
            }
        } else if let flaw = shape.flaw(of: embedded, contextTokens: loaded?.maxContextTokens ?? 0) {
            throw ContractViolation(.embeddedShape, flaw)
        }
        embeds[embedded.query] = nil
    }

    private mutating func heard(_ pong: Pong) throws(ContractViolation) {
        try demandReady("Pong")
        guard pings.first == pong.nonce else {
            // It answers the agent before this one.
            if phase == .settling { return }
            throw ContractViolation(.pongOrder, "Pong answers \(pong.nonce), which is not the oldest unanswered Ping")
        }
        guard pong.steps >= steps else {
            throw ContractViolation(.pongCounts, "Pong.steps went back from \(steps) to \(pong.steps)")
        }
        guard pong.tokens >= tokens else {
            throw ContractViolation(.pongCounts, "Pong.tokens went back from \(tokens) to \(pong.tokens)")
        }
        guard pong.sequences <= sequences.count else {
            throw ContractViolation(.pongCounts, "Pong.sequences is \(pong.sequences); \(sequences.count) were offered")
        }
        pings.removeFirst()
        steps = pong.steps
        tokens = pong.tokens
        guard phase == .settling else { return }
        if pong.sequences == 0 { inherited.isIdle = true }
        settleIfDone()
    }

    func check(_ fault: Fault) throws(ContractViolation) {
        guard fault.message.utf8.count <= ContractLimits.faultBytesMax else {
            throw ContractViolation(.fault, "a Fault's message is longer than \(ContractLimits.faultBytesMax) bytes")
        }
    }
}

// Messages of the agent.
extension BackendConversation {
    /// Checks a message of the agent against the contract. False, on the backend's end only: the message crossed the
    /// end of its sequence on the wire and has no effect.
    @discardableResult
    package mutating func agentSays(_ message: borrowing AgentMessage) throws(ContractViolation) -> Bool {
        switch message {
        case .welcome(let welcome): try heard(welcome)
        case .reject:
            try demand(.awaitingWelcome, "Reject")
            phase = .over
        case .load(let load): try heard(load)
        case .start(let start): try heard(start)
        case .credit(let credit): return try heard(credit)
        case .cancel(let cancel):
            guard try isOpen(cancel.sequence, "Cancel") else { return false }
            sequences.markCancelled(cancel.sequence)
        case .countTokens(let count): try open(count.query, .count, "CountTokens", Hello.countTokens)
        case .tokenize(let tokenize):
            try open(tokenize.query, tokenize.wantsText ? .text : .tokens, "Tokenize", Hello.tokenize)
        case .embed(let embed): try heard(embed)
        case .cancelEmbed(let cancel):
            try demand(.ready, "CancelEmbed")
            guard embeds[cancel.query] != nil || end == .backend else {
                throw ContractViolation(byAgent: "CancelEmbed names the query \(cancel.query), which is not open")
            }
            return embeds[cancel.query] != nil
        case .ping(let ping):
            if phase != .settling { try demand(.ready, "Ping") }
            guard pings.count < ContractLimits.unansweredMax else {
                throw ContractViolation(byAgent: "too many open pings")
            }
            pings.append(ping.nonce)
        case .shutdown:
            isShuttingDown = true
        }
        return true
    }

    private func demand(_ wanted: Phase, _ name: String) throws(ContractViolation) {
        guard phase == wanted else {
            throw ContractViolation(byAgent: "\(name) came in the phase \(phase), not \(wanted)")
        }
    }

    private mutating func heard(_ welcome: Welcome) throws(ContractViolation) {
        try demand(.awaitingWelcome, "Welcome")
        guard let hello, hello.minRevision <= welcome.revision, welcome.revision <= hello.maxRevision else {
            throw ContractViolation(
                byAgent: "Welcome names the revision \(welcome.revision), which Hello did not offer")
        }
        revision = welcome.revision
        phase = .awaitingLoad
    }

    private mutating func heard(_ load: Load) throws(ContractViolation) {
        try demand(.awaitingLoad, "Load")
        guard (1...UInt32(ContractLimits.sequencesMax)).contains(load.maxSequences) else {
            throw ContractViolation(
                byAgent:
                    "Load.max_sequences is \(load.maxSequences), not 1 to \(ContractLimits.sequencesMax)")
        }
        guard !load.inspectOnly || isCapable(of: "inspect") else {
            throw ContractViolation(byAgent: "Load asks to inspect a backend whose Hello does not name inspect")
        }
        self.load = load
        phase = load.inspectOnly ? .inspecting : .loading
    }

    private mutating func heard(_ start: Start) throws(ContractViolation) {
        try demand(.ready, "Start")
        guard !isShuttingDown else { throw ContractViolation(byAgent: "Start came after Shutdown") }
        guard let entry = sequences[start.sequence] else {
            throw ContractViolation(
                byAgent: "Start names the sequence \(start.sequence); \(sequences.count) were offered")
        }
        guard !entry.isRunning else {
            throw ContractViolation(byAgent: "Start names the sequence \(start.sequence), which runs")
        }
        guard start.cacheScope.count <= ContractLimits.cacheScopeBytesMax else {
            throw ContractViolation(
                byAgent:
                    "Start.cache_scope has \(start.cacheScope.count) bytes; at most \(ContractLimits.cacheScopeBytesMax)"
            )
        }
        if let continuation = start.continuation { try check(continuation) }
        var bounds = start.bounds ?? SequenceBounds(request: start.request)
        if let tokensMax = bounds.tokensMax, let tokens = start.continuation?.tokenCount, tokens >= tokensMax {
            throw ContractViolation(
                byAgent: "Start goes on behind \(tokens) tokens of at most \(tokensMax), its stopping.max_tokens")
        }
        if !isCapable(of: Hello.logprobs) { bounds.logprobs = nil }
        if !isCapable(of: Hello.tools) { bounds.toolNames = [] }
        sequences.start(start.sequence, credit: start.credit, bounds, start.continuation)
    }

    private func check(_ continuation: Continuation) throws(ContractViolation) {
        guard isCapable(of: Hello.continue) else {
            throw ContractViolation(
                byAgent: "Start goes on with a completion, and Hello does not name \(Hello.continue)")
        }
        guard UInt64(continuation.tokenCount) < contextTokens else {
            throw ContractViolation(
                byAgent: "Start goes on behind \(continuation.tokenCount) tokens in a context of \(contextTokens)")
        }
    }

    private mutating func heard(_ credit: Credit) throws(ContractViolation) -> Bool {
        guard try isOpen(credit.sequence, "Credit") else { return false }
        guard sequences.grant(credit.sequence, tokens: credit.tokens) else {
            throw ContractViolation(byAgent: "the credit of the sequence \(credit.sequence) rose above \(UInt32.max)")
        }
        return true
    }

    /// Whether the sequence runs; a message for one that has ended may have crossed its `finish` only towards the
    /// backend.
    private func isOpen(_ sequence: UInt32, _ name: String) throws(ContractViolation) -> Bool {
        try demand(.ready, name)
        guard let entry = sequences[sequence] else {
            throw ContractViolation(byAgent: "\(name) names the sequence \(sequence); \(sequences.count) were offered")
        }
        guard entry.isRunning || end == .backend else {
            throw ContractViolation(byAgent: "\(name) names the sequence \(sequence), which is not running")
        }
        return entry.isRunning
    }

    private mutating func heard(_ embed: Embed) throws(ContractViolation) {
        guard let task = embed.task else { throw ContractViolation(byAgent: "Embed holds neither embed nor rerank") }
        try checkNew(embed.query, "Embed", task.capability)
        guard openEmbeds < ContractLimits.embedsMax else {
            throw ContractViolation(byAgent: "Embed came while \(openEmbeds) were open")
        }
        embeds[embed.query] = EmbedShape(
            inputs: embed.inputCount, width: task == .embed ? Int(loaded?.embeddingDimensions ?? 0) : 1)
    }

    private mutating func open(
        _ number: UInt32, _ query: Query, _ name: String, _ capability: String
    ) throws(ContractViolation) {
        try checkNew(number, name, capability)
        queries[number] = query
    }

    private func checkNew(_ number: UInt32, _ name: String, _ capability: String) throws(ContractViolation) {
        if phase != .settling { try demand(.ready, name) }
        guard isCapable(of: capability) else {
            throw ContractViolation(
                byAgent: loaded?.lacking.contains(capability) == true
                    ? "\(name) was asked of a backend whose model lacks \(capability)"
                    : "\(name) was asked of a backend whose Hello does not name \(capability)")
        }
        guard queries.count < ContractLimits.unansweredMax else {
            throw ContractViolation(byAgent: "too many open queries")
        }
        guard queries[number] == nil, embeds[number] == nil else {
            throw ContractViolation(byAgent: "\(name) names the query \(number), which is open")
        }
    }
}

// Messages about sequences that the agent sends once the backend reads.
extension BackendConversation {
    /// The number for the next `Start`; nil when as many sequences run as were offered.
    package var freeSequence: UInt32? { sequences.free }

    /// How many more sequences may run.
    package var freeSequences: Int { sequences.count - sequences.running }

    /// The name of the sequence that runs with this number.
    package func id(of sequence: UInt32) -> SequenceID? { sequences.id(of: sequence) }

    /// Adds to the `Credit` that is still to be sent. False when nothing is to be sent: the sequence has ended or is
    /// cancelled.
    package mutating func grant(_ id: SequenceID, tokens: UInt32) -> Bool { sequences.add(tokens, to: id) }

    /// Marks a `Cancel` to be sent. False when nothing is to be sent: the sequence has ended or was cancelled before.
    package mutating func cancel(_ id: SequenceID) -> Bool { sequences.cancel(id) }

    /// Passes on the messages that are to be sent; they then count as sent.
    package mutating func sayAll(_ say: (AgentMessage) -> Void) {
        guard phase == .ready else { return }
        sequences.takeUnsaid { sequence, credit, isCancelled in
            if credit > 0 { say(.credit(Credit(sequence: sequence, tokens: credit))) }
            if isCancelled { say(.cancel(Cancel(sequence: sequence))) }
        }
    }

    /// The numbers of what the backend has yet to end, for the agent that goes on with the conversation.
    package var unfinished: (sequences: Set<UInt32>, embeds: Set<UInt32>) {
        let running = (0..<UInt32(sequences.count)).filter(isRunning)
        return (inherited.sequences.union(running), inherited.embeds.union(embeds.keys))
    }

    /// Ends every sequence: the backend is lost.
    package mutating func loseAll() { sequences.endAll() }
}

/// The answer that an open `Embed` must have.
private struct EmbedShape {
    let inputs: Int
    /// The numbers for each.
    let width: Int

    /// What is wrong with an answer without a fault; nil where nothing is.
    func flaw(of answer: Embedded, contextTokens: UInt32) -> String? {
        guard answer.values.count == inputs * width, answer.values.count <= ContractLimits.embedNumbersMax else {
            return
                "Embedded holds \(answer.values.count) numbers; it was asked for \(inputs) times \(width), and at most"
                + " \(ContractLimits.embedNumbersMax)"
        }
        guard answer.tokens.count == inputs, [0, inputs].contains(answer.leftOutTokens.count) else {
            return "Embedded counts the tokens of \(answer.tokens.count) inputs, and those left out of"
                + " \(answer.leftOutTokens.count); it was asked for \(inputs)"
        }
        guard answer.tokens.allSatisfy({ $0 <= contextTokens }) else {
            return "Embedded counts more than the \(contextTokens) tokens of the context for an input"
        }
        guard answer.values.allSatisfy(\.isFinite) else { return "Embedded holds what is no finite number" }
        return nil
    }
}

extension Tokenized.Content {
    fileprivate var asked: BackendConversation.Query {
        switch self {
        case .tokens: .tokens
        case .text: .text
        }
    }
}
