internal import BackendIPC
internal import ByteBuffer
internal import Glibc
internal import LinuxSystem
internal import WireFormat

/// The main loop of a backend: reads the agent's messages, steps the engine while a sequence has credit, writes the
/// tokens.
final class BackendLoop<Computing: Engine> {
    /// Why the loop ends.
    private struct End: Error {
        var status: CInt
        /// The line for the log.
        var line: String?
        /// The fault for the agent.
        var fault: Fault?
    }

    private struct Query {
        enum Kind { case count, tokens, text }

        var number: UInt32
        var kind: Kind
        var request: GenerateRequest
    }

    private enum Answer {
        case count(UInt32)
        case content(Tokenized.Content)
    }

    private var engine: Computing
    private let socket: BackendSocket
    private var conversation = BackendConversation(end: .backend)
    private var step = Step()
    private var steps: UInt64 = 0
    private var pace = Pace.again
    private var frameBytesMax = ContractLimits.backendFrameBytesMax
    /// When the grace of `Shutdown` is over.
    private var deadline: Monotonic?
    /// Messages that the agent sent during a step, to be handled after it, and their bytes.
    private var deferred: [AgentMessage] = []
    private var deferredBytes = 0
    private var news = Step.News()
    private var attended = Monotonic(nanoseconds: 0)
    /// The counts after the previous step, which a `Pong` reports during a step, while the engine has `step`.
    private var computed: (tokens: UInt64, sequences: Int) = (0, 0)
    /// Queries that the engine has not answered yet.
    private var queries: [Query] = []

    init(_ engine: Computing, descriptor: CInt) {
        self.engine = engine
        socket = BackendSocket(descriptor: descriptor)
        // The step is this object's own and dies with it.
        step.attend = { [unowned self] in attend() }
        step.news = { [unowned self] in news }
    }

    /// Returns the status to exit with.
    func run() -> CInt {
        let end: End
        do throws(End) {
            try say(.hello(hello))
            while true { try turn() }
        } catch {
            end = error
        }
        if let fault = end.fault { BackendMessage.fatal(fault).appendFrame(to: &socket.output) }
        if let line = end.line { Backend.log("\(Computing.name): \(line)") }
        socket.flush(milliseconds: Limits.lastWordsMilliseconds)
        return end.status
    }

    private var hello: Hello {
        Hello(
            name: Computing.name, version: Computing.version, capabilities: Computing.capabilities.map { $0.name })
    }

    /// Reads and writes what the socket allows, then computes one step if there is one to compute.
    private func turn() throws(End) {
        if let deadline, step.running.isEmpty && step.embeddings.isEmpty || Monotonic.awake() >= deadline {
            throw End(status: 0)
        }
        try exchange(waitingNanoseconds: waitNanoseconds())
        try takeFrames()
        try askAgain()
        if waitNanoseconds() == 0 { try stepOnce() }
    }

    /// How long to wait for the socket: 0 to step now, nil until it is ready.
    private func waitNanoseconds() -> UInt64? {
        var wait: UInt64?
        if socket.output.count <= Limits.steppingOutputBytesMax, step.gather() {
            switch pace {
            case .again: return 0
            case .at(let moment): wait = Monotonic(nanoseconds: moment).since(Monotonic.awake())
            case .idle: break
            }
        }
        if !queries.isEmpty { wait = min(wait ?? .max, Limits.queryIntervalNanoseconds) }
        guard let deadline else { return wait }
        let grace = deadline.since(Monotonic.awake())
        return min(wait ?? grace, grace)
    }

    private func exchange(waitingNanoseconds nanoseconds: UInt64?) throws(End) {
        do throws(LinuxError) {
            try socket.exchange(waitingNanoseconds: nanoseconds)
        } catch {
            throw End(status: 1, line: error.description)
        }
        if socket.isClosed, socket.input.count == 0 { throw End(status: 0) }
        if socket.output.count > Limits.outputBytesMax {
            throw End(status: 1, line: "the agent asks and does not read; \(socket.output.count) bytes wait")
        }
    }
}

// Messages of the agent.
extension BackendLoop {
    private func takeFrames() throws(End) {
        try takeDeferred()
        while let message = try nextMessage() { try take(message) }
        if socket.isClosed { throw End(status: 0) }
    }

    /// The next message that has an effect; nil when more must be read.
    private func nextMessage() throws(End) -> AgentMessage? {
        do throws(ContractViolation) {
            while let frame = try socket.input.next() {
                let message = try AgentMessage(decoding: frame)
                if try conversation.agentSays(message) { return message }
            }
            return nil
        } catch {
            throw End(status: 1, line: "the agent broke the contract: \(error.sentence)")
        }
    }

    private func take(_ message: AgentMessage) throws(End) {
        switch message {
        case .welcome(let welcome):
            // The limit is at least this, because one run must fit.
            frameBytesMax = max(Int(welcome.maxFrameBytes), 2 * Limits.runBytesMax)
        case .reject(let reject):
            throw End(status: 1, line: "the agent refused: \(reject.reason)")
        case .load(let load): try load.inspectOnly ? inspect(load) : self.load(load)
        case .start(let start): try begin(start)
        case .credit(let credit):
            step.grant(Int(credit.sequence), tokens: credit.tokens)
            pace = .again
        case .cancel(let cancel): try self.cancel(Int(cancel.sequence))
        case .countTokens(let count): try answer(count.query, .count, count.request)
        case .tokenize(let tokenize):
            try answer(tokenize.query, tokenize.wantsText ? .text : .tokens, tokenize.request)
        case .embed(let embed): try begin(embed)
        case .cancelEmbed(let cancel): try self.cancel(cancel)
        case .ping(let ping): try answer(ping, tokens: step.tokens, sequences: step.running.count)
        case .shutdown(let shutdown):
            deadline = Monotonic.awake().advanced(milliseconds: UInt64(shutdown.graceMilliseconds))
        }
    }

    /// Sends a message of the backend, after the same check against the contract that the agent makes.
    private func say(_ message: BackendMessage) throws(End) {
        do throws(ContractViolation) {
            try conversation.backendSays(message)
        } catch {
            throw misused(error.sentence)
        }
        message.appendFrame(to: &socket.output)
    }

    private func misused(_ sentence: String) -> End {
        End(status: 1, line: sentence, fault: Fault(EngineFault(.internal, sentence)))
    }

    private func load(_ load: Load) throws(End) {
        var reported = Monotonic(nanoseconds: 0)
        let model: LoadedModel
        do throws(EngineFault) {
            model = try engine.load(LoadRequest(load)) { fraction in
                let now = Monotonic.awake()
                guard now.since(reported) >= Limits.progressIntervalNanoseconds else { return }
                reported = now
                report(fraction)
            }
        } catch {
            throw End(status: 1, line: error.message, fault: Fault(error))
        }
        try say(
            .loaded(
                Loaded(
                    maxContextTokens: UInt32(clamping: model.maxContextTokens),
                    maxSequences: UInt32(clamping: model.maxSequences),
                    samplingDefaults: model.samplingDefaults.encodedDefaults,
                    embeddingDimensions: UInt32(clamping: model.embeddingDimensions),
                    lacking: model.lacking.map(\.name))))
        step.prepare(sequences: model.maxSequences)
    }

    private func inspect(_ load: Load) throws(End) {
        let model: InspectedModel
        do throws(EngineFault) {
            model = try engine.inspect(LoadRequest(load))
        } catch {
            throw End(status: 1, line: error.message, fault: Fault(error))
        }
        try say(.inspected(Inspected(model)))
        throw End(status: 0)
    }

    /// Reports the progress of loading, and ends the process when the agent is gone or asks for the end, because the
    /// engine is busy and cannot.
    private func report(_ fraction: Float) {
        // No further report while the agent has not read the last one.
        if socket.output.isEmpty {
            let fraction = fraction >= 0 ? min(fraction, 1) : 0
            BackendMessage.loadProgress(LoadProgress(fraction: fraction)).appendFrame(to: &socket.output)
        }
        do throws(End) {
            try exchange(waitingNanoseconds: 0)
            // Only `Shutdown` is allowed now.
            try takeFrames()
            if deadline != nil { throw End(status: 0) }
        } catch {
            finish(error)
        }
    }

    private func begin(_ start: Start) throws(End) {
        let sequence = Int(start.sequence)
        step.begin(sequence, credit: start.credit)
        pace = .again
        do throws(EngineFault) {
            var request = try GenerateRequest(decoding: start.request)
            request.cacheScope = start.cacheScope
            request.generatedTokenIDs = start.continuation?.tokenIDs ?? []
            step.slots[sequence].sendsSingly =
                !request.stopping.stop.isEmpty && !Computing.capabilities.contains(.stopStrings)
            try engine.start(sequence, request)
        } catch {
            step.fail(sequence, error)
            try sendRuns()
        }
    }

    private func cancel(_ sequence: Int) throws(End) {
        let prompt = engine.cancel(sequence)
        let finish = Finish(
            .reason(.cancelled), promptTokens: UInt32(clamping: prompt.total),
            cachedPromptTokens: UInt32(clamping: min(prompt.cached, prompt.total)))
        step.end(sequence, finish)
        pace = .again
        try sendRuns()
    }

    private func answer(_ ping: Ping, tokens: UInt64, sequences: Int) throws(End) {
        try say(.pong(Pong(nonce: ping.nonce, steps: steps, tokens: tokens, sequences: UInt32(sequences))))
    }
}

// Queries.
extension BackendLoop {
    private func answer(_ number: UInt32, _ kind: Query.Kind, _ request: [UInt8]) throws(End) {
        let query: Query
        do throws(EngineFault) {
            query = Query(number: number, kind: kind, request: try GenerateRequest(decoding: request))
        } catch {
            return try say(Self.answer(number, kind, .failure(Fault(error))))
        }
        if !(try isAnswered(query)) { queries.append(query) }
    }

    private func askAgain() throws(End) {
        guard !queries.isEmpty else { return }
        var open: [Query] = []
        for query in queries where !(try isAnswered(query)) { open.append(query) }
        queries = open
    }

    private func isAnswered(_ query: Query) throws(End) -> Bool {
        let result: Result<Answer, Fault>
        do throws(EngineFault) {
            guard let answer = try answer(query) else { return false }
            result = .success(answer)
        } catch {
            result = .failure(Fault(error))
        }
        try say(Self.answer(query.number, query.kind, result))
        return true
    }

    private func answer(_ query: Query) throws(EngineFault) -> Answer? {
        let number = Int(query.number)
        switch query.kind {
        case .count: return try engine.countTokens(number, query.request).map { .count(UInt32(clamping: $0)) }
        case .tokens:
            guard let tokens = try engine.tokenize(number, query.request) else { return nil }
            guard !tokens.isTooLong else { throw Self.tooLong("tokens") }
            return .content(.tokens(tokens.bytes))
        case .text:
            guard let text = try engine.text(number, query.request) else { return nil }
            guard text.count <= ContractLimits.tokenizedBytesMax else { throw Self.tooLong("text") }
            return .content(.text(text))
        }
    }

    private static func tooLong(_ what: String) -> EngineFault {
        EngineFault(
            .overloaded,
            "the \(what) of the prompt would have more than \(ContractLimits.tokenizedBytesMax) bytes; ask for a part of it"
        )
    }

    private static func answer(_ number: UInt32, _ kind: Query.Kind, _ result: Result<Answer, Fault>) -> BackendMessage
    {
        switch result {
        case .success(.count(let tokens)): .tokenCount(TokenCount(query: number, result: .success(tokens)))
        case .success(.content(let content)): .tokenized(Tokenized(query: number, result: .success(content)))
        case .failure(let fault) where kind == .count: .tokenCount(TokenCount(query: number, result: .failure(fault)))
        case .failure(let fault): .tokenized(Tokenized(query: number, result: .failure(fault)))
        }
    }
}

// Vectors and scores.
extension BackendLoop {
    private func begin(_ embed: Embed) throws(End) {
        let query = Int(embed.query)
        do throws(EngineFault) {
            try engine.startEmbedding(query, try EmbeddingRequest(embed))
        } catch {
            return try say(.embedded(Embedded(query: embed.query, fault: Fault(error))))
        }
        step.embeddings.append(query)
        pace = .again
    }

    private func cancel(_ cancel: CancelEmbed) throws(End) {
        let query = Int(cancel.query)
        step.embeddings.removeAll { $0 == query }
        let tokens = engine.cancelEmbedding(query)
        pace = .again
        let fault = Fault(.overloaded, "the query was cancelled")
        try say(.embedded(Embedded(query: cancel.query, fault: fault, tokens: UInt32(clamping: tokens))))
    }

    private func sendEmbedded() throws(End) {
        let answers = step.embedded
        step.embedded = []
        for (query, result, tokens) in answers {
            let number = UInt32(clamping: query)
            func failed(_ fault: EngineFault) -> Embedded {
                Embedded(query: number, fault: Fault(fault), tokens: UInt32(clamping: tokens))
            }
            let answer: Embedded =
                switch result {
                case .success(let result) where !result.values.allSatisfy(\.isFinite):
                    failed(
                        EngineFault(
                            .internal,
                            "the model computed something that is no number; its weights are damaged, or made for another "
                                + "arithmetic"))
                case .success(let result):
                    Embedded(
                        query: number, values: result.values, tokens: result.tokens.map { UInt32(clamping: $0) },
                        leftOutTokens: result.leftOutTokens.map { UInt32(clamping: $0) })
                case .failure(let fault): failed(fault)
                }
            try say(.embedded(answer))
        }
    }
}

// In the middle of a step. The engine has `engine` and `step`, so nothing here may touch them.
extension BackendLoop {
    private func attend() {
        let now = Monotonic.awake()
        guard now.since(attended) >= Limits.attentionIntervalNanoseconds, deferredBytes <= Limits.deferredBytesMax
        else { return }
        attended = now
        do throws(End) {
            if let deadline, now >= deadline { throw End(status: 0) }
            var held = -1
            while socket.input.count != held, deferredBytes <= Limits.deferredBytesMax {
                held = socket.input.count
                try exchange(waitingNanoseconds: 0)
                while let message = try nextMessage() {
                    try hear(message)
                }
            }
            if socket.isClosed { throw End(status: 0) }
            try exchange(waitingNanoseconds: 0)
        } catch {
            finish(error)
        }
    }

    private func hear(_ message: AgentMessage) throws(End) {
        switch message {
        case .ping(let ping):
            // The engine is here again, so it has computed a part.
            steps &+= 1
            return try answer(ping, tokens: computed.tokens, sequences: computed.sequences)
        case .shutdown: return try take(message)
        case .start(let start): news.asking.append(Int(start.sequence))
        case .credit(let credit): news.asking.append(Int(credit.sequence))
        case .cancel(let cancel): news.cancelled.append(Int(cancel.sequence))
        case .cancelEmbed(let cancel): news.cancelledEmbeddings.append(Int(cancel.query))
        default: break
        }
        deferredBytes += message.contentBytes
        deferred.append(message)
    }

    private func takeDeferred() throws(End) {
        guard !deferred.isEmpty else { return }
        let messages = deferred
        deferred = []
        deferredBytes = 0
        news = Step.News()
        for message in messages {
            // The sequence may have ended in the step during which this came.
            switch message {
            case .credit(let credit) where !step.isRunning(Int(credit.sequence)): continue
            case .cancel(let cancel) where !step.isRunning(Int(cancel.sequence)): continue
            case .cancelEmbed(let cancel) where !conversation.isOpen(embed: cancel.query): continue
            default: try take(message)
            }
        }
    }

    /// Ends the process from within the engine, with a fault for the agent.
    func giveUp(_ fault: EngineFault) -> Never { finish(End(status: 1, fault: Fault(fault))) }

    /// Ends the process from within the engine.
    private func finish(_ end: End) -> Never {
        if let fault = end.fault { BackendMessage.fatal(fault).appendFrame(to: &socket.output) }
        if let line = end.line { Backend.log("\(Computing.name): \(line)") }
        socket.flush(milliseconds: Limits.lastWordsMilliseconds)
        fflush(nil)
        _exit(end.status)
    }
}

// Tokens of the engine.
extension BackendLoop {
    private func stepOnce() throws(End) {
        computed = (step.tokens, step.running.count)
        do throws(EngineFault) {
            pace = try engine.step(&step)
        } catch {
            throw End(status: 1, line: error.message, fault: Fault(error))
        }
        step.closeRun(nil)
        if pace == .again || step.hasProgress || !step.runs.isEmpty || !step.embedded.isEmpty { steps &+= 1 }
        step.hasProgress = false
        try sendRuns()
        if !step.embedded.isEmpty { try sendEmbedded() }
    }

    /// Sends all runs in `step`, in one frame, or in several when that would exceed the agent's limit.
    private func sendRuns() throws(End) {
        if let misuse = step.misuse { throw misused(misuse) }
        guard !step.runs.isEmpty || !step.rawOutput.isEmpty else { return }
        var batch = 0..<0
        var byteCount = 0
        for index in step.runs.indices {
            let run = step.view(index)
            if !step.isUnchecked { try check(run) }
            let size = WireSize.field(1, message: run)
            if byteCount > 0, byteCount + size + Limits.envelopeBytesMax > frameBytesMax {
                sendFrame(batch, byteCount: byteCount)
                batch = index..<index
                byteCount = 0
            }
            byteCount += size
            batch = batch.lowerBound..<index + 1
        }
        if !batch.isEmpty { sendFrame(batch, byteCount: byteCount) }
        step.removeRuns()
        if !step.rawOutput.isEmpty {
            step.rawOutput.withUnsafeBytes { socket.output.append($0) }
            step.rawOutput = []
        }
    }

    /// Checks a run against the contract, as the agent will.
    private func check(_ run: TokenRun) throws(End) {
        do throws(ContractViolation) {
            try conversation.backendRan(run)
        } catch {
            throw misused(error.sentence)
        }
    }

    private func sendFrame(_ runs: Range<Int>, byteCount: Int) {
        socket.output.appendFrame(field: 4, byteCount: byteCount) { writer in
            for run in runs { writer.field(1, message: step.view(run)) }
        }
    }
}

extension Step {
    /// A run in the codec's form; valid until the buffers change.
    func view(_ index: Int) -> TokenRun {
        let run = runs[index]
        return TokenRun(
            TokenRunView(
                sequence: UInt32(truncatingIfNeeded: run.sequence), tokenCount: run.tokenCount,
                packedTokenIDs: UnsafeRawBufferPointer(rebasing: ids.bytes[run.ids]),
                text: UnsafeRawBufferPointer(rebasing: text.bytes[run.text]),
                rare: UnsafeRawBufferPointer(rebasing: rare.bytes[run.rare])), finish: run.finish)
    }
}
