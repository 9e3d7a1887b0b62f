internal import BackendIPC
internal import Glibc
internal import LinuxSystem
internal import WireFormat

/// The life of a backend: reads what the agent says, steps the engine while something has credit, writes what it gave.
final class BackendLoop<Computing: Engine> {
    /// Why the loop ends.
    private struct End: Error {
        var status: CInt
        /// For the log.
        var line: String?
        /// For the agent.
        var fault: Fault?
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

    init(_ engine: Computing, descriptor: CInt) {
        self.engine = engine
        socket = BackendSocket(descriptor: descriptor)
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
        if let deadline, step.running.isEmpty || Monotonic.now() >= deadline { throw End(status: 0) }
        try exchange(waitingNanoseconds: waitNanoseconds())
        try takeFrames()
        if waitNanoseconds() == 0 { try stepOnce() }
    }

    /// How long nothing can be computed: 0 to step now, nil until the socket says something.
    private func waitNanoseconds() -> UInt64? {
        var wait: UInt64?
        if socket.output.count <= Limits.steppingOutputBytesMax, step.gather() {
            switch pace {
            case .again: return 0
            case .at(let moment): wait = Monotonic(nanoseconds: moment).since(Monotonic.now())
            case .idle: break
            }
        }
        guard let deadline else { return wait }
        let grace = deadline.since(Monotonic.now())
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

// What the agent says.
extension BackendLoop {
    private func takeFrames() throws(End) {
        while let message = try nextMessage() { try take(message) }
        if socket.isClosed { throw End(status: 0) }
    }

    /// The next message that means something; nil when more must be read.
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
            // An agent that names less than this cannot mean it: one run must fit.
            frameBytesMax = max(Int(welcome.maxFrameBytes), 2 * Limits.runBytesMax)
        case .reject(let reject):
            throw End(status: 1, line: "the agent refused: \(reject.reason)")
        case .load(let load): try self.load(load)
        case .start(let start): try begin(start)
        case .credit(let credit):
            step.grant(Int(credit.sequence), tokens: credit.tokens)
            pace = .again
        case .cancel(let cancel): try self.cancel(Int(cancel.sequence))
        case .countTokens(let count): try answer(count)
        case .ping(let ping):
            try say(
                .pong(
                    Pong(
                        nonce: ping.nonce, steps: steps, tokens: step.tokens,
                        sequences: UInt32(step.running.count))))
        case .shutdown(let shutdown):
            deadline = Monotonic.now().advanced(milliseconds: UInt64(shutdown.graceMilliseconds))
        }
    }

    /// Sends a message of the backend, held against the contract like the agent will.
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
                let now = Monotonic.now()
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
                    maxSequences: UInt32(clamping: model.maxSequences))))
        step.prepare(sequences: model.maxSequences)
    }

    /// Tells how far the loading is, and ends the process when the agent is gone or wants it to end: the engine, which
    /// is busy, cannot.
    private func report(_ fraction: Float) {
        // Not one more while the agent has not read the last.
        if socket.output.isEmpty {
            let fraction = fraction >= 0 ? min(fraction, 1) : 0
            BackendMessage.loadProgress(LoadProgress(fraction: fraction)).appendFrame(to: &socket.output)
        }
        do throws(End) {
            try exchange(waitingNanoseconds: 0)
            // Shutdown is all that the agent may say now.
            try takeFrames()
            if deadline != nil { throw End(status: 0) }
        } catch {
            if let line = error.line { Backend.log("\(Computing.name): \(line)") }
            exit(error.status)
        }
    }

    private func begin(_ start: Start) throws(End) {
        let sequence = Int(start.sequence)
        step.begin(sequence, credit: start.credit)
        pace = .again
        do throws(EngineFault) {
            var request = try GenerateRequest(decoding: start.request)
            request.cacheScope = start.cacheScope
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

    private func answer(_ count: CountTokens) throws(End) {
        let result: Result<UInt32, Fault>
        do throws(EngineFault) {
            let tokens = try engine.countTokens(try GenerateRequest(decoding: count.request))
            result = .success(UInt32(clamping: tokens))
        } catch {
            result = .failure(Fault(error))
        }
        try say(.tokenCount(TokenCount(query: count.query, result: result)))
    }
}

// What the engine gives.
extension BackendLoop {
    private func stepOnce() throws(End) {
        do throws(EngineFault) {
            pace = try engine.step(&step)
        } catch {
            throw End(status: 1, line: error.message, fault: Fault(error))
        }
        step.closeRun(nil)
        if pace == .again || !step.runs.isEmpty { steps &+= 1 }
        try sendRuns()
    }

    /// Everything that waits in `step`, in one frame, or in more when the agent takes no frame that long.
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

    /// Holds a run against the contract, as the agent will.
    private func check(_ run: borrowing TokenRunView) throws(End) {
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
    /// A run as the codec takes it; valid until the buffers change.
    func view(_ index: Int) -> TokenRunView {
        let run = runs[index]
        return TokenRunView(
            sequence: UInt32(truncatingIfNeeded: run.sequence), tokenCount: run.tokenCount,
            packedTokenIDs: UnsafeRawBufferPointer(rebasing: ids.bytes[run.ids]),
            text: UnsafeRawBufferPointer(rebasing: text.bytes[run.text]), finish: run.finish)
    }
}
