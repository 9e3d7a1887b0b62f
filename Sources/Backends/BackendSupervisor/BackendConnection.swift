internal import BackendIPC
internal import ByteBuffer
internal import EventLoop
internal import Glibc
internal import LinuxSystem
internal import SandboxLaunch
internal import WireFormat

/// The agent's end of one backend process's socket: reads frames, hands tokens to their handlers, writes frames once a
/// turn.
///
/// Owned by its `ManagedBackend` or `ModelInspection`; lives as long as the process; the I/O loop's own. The bytes that
/// wait to be written are bounded by `outputBytesMax` and one frame: beyond it no sequence is begun, and grants are added
/// up, not queued.
@IOLoop
final class BackendConnection {
    private enum Flow { case open, blocked, closed }

    private let handles: SandboxedProcess
    private let limits: SupervisorConfiguration.Limits
    private weak var owner: (any BackendConnectionOwner)?

    private var watch: Watch?
    private var input: FrameBuffer
    /// A batch whose runs were not all visited. It lies in `input`, which nothing is read into meanwhile.
    private var unfinished: TokenBatchView?
    /// `goOn` is due.
    private var goesOnLater = false
    private var output = ByteQueue()
    private var outputFlow = Flow.open
    private var flushIsDue = false
    /// Whether what another agent had begun has yet to end, and when that is asked for again.
    private var isSettling = false
    private var settlingTimer: Timer?
    private static let settlingPingMilliseconds: UInt64 = 20
    /// Where the framing is kept for whoever goes on after a crash of this agent; nil: nobody would.
    private var shared: SharedFraming?
    /// Whether it neither reads nor writes for now.
    private var standsStill = false

    /// The messages of the backend that another agent would need, as they came, and the answer to the first.
    private var helloFrame: [UInt8] = []
    private var loadedFrame: [UInt8] = []
    private var welcome: Welcome?

    private var conversation = BackendConversation(end: .agent)
    /// The handler of each sequence, by its number in the conversation.
    private var handlers: [(any SequenceHandler)?] = []
    private var questions = PromptQuestions()
    private var embeddings = RunningEmbeddings()
    private var nextNonce: UInt64 = 1
    /// Tokens that came since the process began.
    private(set) var tokensReceived: UInt64 = 0
    /// Tokens of the inputs of the embeddings that were answered since the process began.
    private(set) var tokensEmbedded: UInt64 = 0

    init(
        _ handles: SandboxedProcess, limits: SupervisorConfiguration.Limits, owner: any BackendConnectionOwner
    ) throws(LinuxError) {
        self.handles = handles
        self.limits = limits
        self.owner = owner
        input = FrameBuffer(frameBytesMax: limits.backendFrameBytesMax)
        watch = try IOLoop.watch(handles.socket, .readable, .first, handler: self)
    }

    /// Goes on with the conversation of another agent. Throws where this one would not have had it so.
    init(
        _ handles: SandboxedProcess, goingOnWith passed: PassedConversation,
        limits: SupervisorConfiguration.Limits, owner: any BackendConnectionOwner
    ) throws {
        self.handles = handles
        self.limits = limits
        self.owner = owner
        (helloFrame, loadedFrame, welcome) = (passed.hello, passed.loaded, passed.welcome)
        input = FrameBuffer(frameBytesMax: Int(passed.welcome.maxFrameBytes))
        questions = PromptQuestions(after: .random(in: 0...(.max)))
        embeddings = RunningEmbeddings(after: .random(in: 0...(.max)))
        // Tells its own Pings from those of the other agent.
        nextNonce = .random(in: 0...(.max >> 1))
        tokensReceived = passed.tokens
        conversation = try passed.replayed()
        handlers = Array(repeating: nil, count: Int(conversation.loaded?.maxSequences ?? 0))
        passed.unread.withUnsafeBytes { input.append($0) }
        passed.unwritten.withUnsafeBytes { output.append($0) }
        for message in conversation.takeOver(sequences: passed.sequences, embeds: passed.embeds) {
            message.appendFrame(to: &output)
        }
        isSettling = conversation.phase == .settling
        watch = try IOLoop.watch(handles.socket, .readable, .first, handler: self)
        // One that loads is not pinged.
        if isSettling { ping() } else { askForFlush() }
        goOnSoon()
    }

    var hello: Hello? { conversation.hello }
    var loaded: Loaded? { conversation.loaded }

    var runningSequences: Int { conversation.runningSequences }

    /// The sequences that could begin now.
    var freeSequences: Int {
        outputFlow != .closed && output.count < limits.outputBytesMax ? conversation.freeSequences : 0
    }

    var runningEmbeddings: Int { embeddings.count }

    /// The embeddings that could begin now.
    var freeEmbeddings: Int {
        outputFlow != .closed && output.count < limits.outputBytesMax
            ? ContractLimits.embedsMax - conversation.openEmbeds : 0
    }

    /// Whether it goes on with completions of an earlier process.
    var canContinue: Bool { conversation.isCapable(of: Hello.continue) && (conversation.revision ?? 1) >= 2 }

    /// Whether some unfinished sequence has credit, or an embedding runs.
    var isBusy: Bool { conversation.isBusy }

    /// Stops reading and writing; the sequences that still run are left to `loseAll`.
    func close() {
        watch?.unwatch()
        watch = nil
        standsStill = false
        stopSettling()
        outputFlow = .closed
        output.removeAll()
    }

    /// Reports all sequences and questions as lost. `isFailure`: the process failed at its work.
    func loseAll(_ reason: String, isFailure: Bool) {
        let wasAlone = conversation.runningSequences + embeddings.count == 1
        let lost = handlers.enumerated().compactMap { number, handler in
            handler.map { ($0, conversation.toolCalls(of: UInt32(number))) }
        }
        handlers = Array(repeating: nil, count: handlers.count)
        conversation.loseAll()
        for (handler, toolCalls) in lost {
            handler.lost(
                SequenceLoss(reason: reason, isFailure: isFailure, wasAlone: wasAlone, toolCalls: toolCalls))
        }
        questions.loseAll(reason)
        for completion in embeddings.endAll() {
            completion(.failure(SequenceLoss(reason: reason, isFailure: isFailure, wasAlone: wasAlone)))
        }
    }
}

// Passing it on to another agent.
extension BackendConnection {
    /// Neither reads nor writes until `goOnAlone` or `close`. What is said meanwhile waits.
    func standStill() {
        guard watch != nil else { return }
        watch?.unwatch()
        watch = nil
        standsStill = true
    }

    func goOnAlone() {
        guard standsStill else { return }
        standsStill = false
        do throws(LinuxError) {
            watch = try IOLoop.watch(handles.socket, .readable, .first, handler: self)
        } catch {
            close()
            owner?.connectionEnded()
            return
        }
        if outputFlow == .blocked { outputFlow = .open }
        askForFlush()
        goOnSoon()
    }

    /// What another agent needs while it stands still; nil where nothing can be gone on with.
    var passed: PassedConversation? {
        guard standsStill, !conversation.isShuttingDown, var passed = passable else { return nil }
        passed.unread = withUnread { Array($0) }
        passed.unwritten = Array(output.bytes)
        (passed.sequences, passed.embeds) = conversation.unfinished
        return passed
    }

    /// What another agent would need at any moment, beside what `share` keeps; nil: nothing can be gone on with.
    var passable: PassedConversation? {
        guard outputFlow != .closed, [.loading, .ready, .settling].contains(conversation.phase), let welcome,
            let load = conversation.load
        else { return nil }
        return PassedConversation(
            hello: helloFrame, welcome: welcome, load: load, loaded: loadedFrame, tokens: tokensReceived)
    }

    /// Keeps the framing in memory that others can hold, from now on.
    /// - Parameter isReading: whether a read is under way.
    func share(isReading: Bool) throws(LinuxError) -> SharedFraming {
        if let shared { return shared }
        let shared = try SharedFraming()
        self.shared = shared
        if !isReading { leaveFraming() }
        return shared
    }

    private func leaveFraming() {
        // Of output that waits it is not known whether its first frame was begun.
        guard let shared, outputFlow != .blocked else { return }
        let embeds = conversation.openEmbeds > 0 ? conversation.unfinished.embeds : []
        if unfinished == nil { return shared.end(unread: input.bytes, embeds: embeds) }
        withUnread { shared.end(unread: $0, embeds: embeds) }
    }

    /// The bytes that were read and not visited; the runs of a batch in work that were not visited are a batch of their own.
    private func withUnread<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var unread = ByteQueue()
        if let unfinished, !unfinished.remaining.isEmpty { BackendMessage.tokens(unfinished).appendFrame(to: &unread) }
        unread.append(input.bytes)
        return body(unread.bytes)
    }

    /// Visits what was read and not visited yet in a later turn of the loop.
    private func goOnSoon() {
        guard !goesOnLater, unfinished != nil || input.count > 0 else { return }
        goesOnLater = true
        IOLoop.goOnLater(self, .first)
    }
}

// Messages to the backend.
extension BackendConnection {
    func welcome(_ welcome: Welcome, _ load: Load) {
        self.welcome = welcome
        say(.welcome(welcome))
        say(.load(load))
    }

    func reject(_ reject: Reject) {
        say(.reject(reject))
        flush()
    }

    func ping() {
        say(.ping(Ping(nonce: nextNonce)))
        nextNonce &+= 1
    }

    func shutDown(graceMilliseconds: UInt64) {
        say(.shutdown(Shutdown(graceMilliseconds: UInt32(clamping: graceMilliseconds))))
    }

    /// Nil when no sequence is free, or when the backend does not read what was sent before.
    func begin(
        request: [UInt8], bounds: SequenceBounds?, credit: UInt32, cacheScope: [UInt8], continuation: Continuation?,
        handler: any SequenceHandler
    ) -> RunningSequence? {
        guard output.count < limits.outputBytesMax, let number = conversation.freeSequence else { return nil }
        let start = Start(
            sequence: number, credit: credit, request: request, cacheScope: cacheScope, continuation: continuation,
            bounds: bounds)
        guard say(.start(start.spoken(in: conversation.revision ?? 1))), let id = conversation.id(of: number) else {
            return nil
        }
        handlers[Int(number)] = handler
        return RunningSequence(connection: self, id: id)
    }

    func grant(_ id: SequenceID, tokens: UInt32) {
        if conversation.grant(id, tokens: tokens) { askForFlush() }
    }

    func cancel(_ id: SequenceID) {
        if conversation.cancel(id) { askForFlush() }
    }

    func ask(
        _ question: PromptQuestion, request: [UInt8],
        completion: @escaping @IOLoop (Result<PromptAnswer, UnansweredQuestion>) -> Void
    ) {
        guard conversation.isCapable(of: question.capability) else {
            let sentence = "this backend lacks the capability \"\(question.capability)\""
            return completion(.failure(.refused(Fault(.unsupported, sentence))))
        }
        guard questions.count < limits.tokenQueriesMax, output.count < limits.outputBytesMax else {
            let sentence = "\(questions.count) prompts are being tokenized; try again in a moment"
            return completion(.failure(.refused(Fault(.overloaded, sentence))))
        }
        let number = questions.ask(timeoutMilliseconds: limits.tokenQueryMilliseconds, completion)
        let message: AgentMessage =
            switch question {
            case .count: .countTokens(CountTokens(query: number, request: request))
            case .tokens, .text: .tokenize(Tokenize(query: number, request: request, wantsText: question == .text))
            }
        if !say(message) {
            questions.answer(
                number, .failure(.refused(Fault(.overloaded, "the backend is ending; try again in a moment"))))
        }
    }

    /// Nil when as many run as may, when the model lacks the capability, or when the backend does not read what was sent
    /// before.
    func embed(
        _ task: Embed.Task, request: [UInt8], completion: @escaping RunningEmbeddings.Completion
    ) -> RunningEmbedding? {
        guard freeEmbeddings > 0, conversation.isCapable(of: task.capability) else { return nil }
        let number = embeddings.begin(completion)
        guard say(.embed(Embed(query: number, task: task, request: request))) else {
            _ = embeddings.end(number)
            return nil
        }
        return RunningEmbedding(connection: self, query: number)
    }

    func cancelEmbedding(_ number: UInt32) {
        if embeddings.cancel(number) { say(.cancelEmbed(CancelEmbed(query: number))) }
    }

    @discardableResult
    private func say(_ message: AgentMessage) -> Bool {
        guard outputFlow != .closed, (try? conversation.agentSays(message)) == true else { return false }
        message.appendFrame(to: &output)
        askForFlush()
        return true
    }
}

// Writing: once a turn, and when the socket takes more.
extension BackendConnection: TurnEndHandler {
    private func askForFlush() {
        if flushIsDue || outputFlow == .closed { return }
        flushIsDue = true
        IOLoop.atTurnEnd(self)
    }

    func turnEnded() {
        flushIsDue = false
        flush()
    }

    private func flush() {
        if standsStill { return }
        shared?.begin()
        defer { leaveFraming() }
        let wasFull = output.count >= limits.outputBytesMax
        defer { if wasFull, output.count < limits.outputBytesMax, outputFlow != .closed { owner?.roomFreed() } }
        // While the backend does not read, grants and cancels wait in the conversation, where they take no more room.
        if outputFlow == .open { conversation.sayAll { $0.appendFrame(to: &output) } }
        while outputFlow == .open, !output.isEmpty {
            // MSG_NOSIGNAL, because a backend that has died must not end the agent by SIGPIPE.
            let count = send(
                handles.socket.raw, output.bytes.baseAddress, output.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
            if count >= 0 {
                output.removeFirst(count)
            } else if errno == EAGAIN {
                outputFlow = .blocked
                watch?.setInterest([.readable, .writable])
            } else if errno != EINTR {
                // The other end is gone; its last bytes are still to be read, and reading finds the end.
                outputFlow = .closed
                output.removeAll()
            }
        }
    }
}

// Reading.
extension BackendConnection: ReadinessHandler, UnfinishedWork {
    func ready(_ readiness: Readiness) {
        if outputFlow == .blocked, readiness.contains(.writable) {
            outputFlow = .open
            watch?.setInterest(.readable)
            flush()
        }
        // Frames that were read and not visited come first.
        guard !goesOnLater, readiness.hasAny(of: .input) else { return }
        _ = read(stepsMax: limits.readStepsPerTurnMax)
    }

    func goOn(steps: Int) -> Int {
        goesOnLater = false
        return watch == nil ? 0 : read(stepsMax: steps)
    }

    /// Reads what the process wrote before it ended: the contents of the socket and of `input`, which are bounded.
    func readRest() { _ = read(stepsMax: 16 * limits.readStepsPerTurnMax, toTheEnd: true) }

    /// Reads until nothing is left or `stepsMax` steps are used; returns the steps used.
    private func read(stepsMax: Int, toTheEnd: Bool = false) -> Int {
        shared?.begin()
        var visits = Visits(stepsMax: stepsMax)
        // Whether the last read got less than it had room for. The loop reports later bytes, and the end, in the next
        // turn, so that a token that comes alone costs one read.
        var isEmptied = false
        do {
            while watch != nil {
                guard try visitFrames(&visits) else {
                    goesOnLater = true
                    IOLoop.goOnLater(self, .first)
                    break
                }
                // The loop reports the rest of the socket's bytes in the next turn.
                guard !visits.areUsed, !isEmptied, watch != nil, try readOnce(&visits) else { break }
                isEmptied = !toTheEnd && !input.isFull
            }
        } catch let violation as ContractViolation {
            close()
            owner?.broke(violation)
        } catch {
            close()
            owner?.connectionEnded()
        }
        leaveFraming()
        return visits.steps
    }

    /// Returns whether there may be more.
    private func readOnce(_ visits: inout Visits) throws -> Bool {
        switch try input.read(from: handles.socket.raw) {
        case .bytes(let count):
            visits.use(bytes: count)
            return true
        case .wouldBlock: return false
        case .end:
            close()
            owner?.connectionEnded()
            return false
        }
    }

    /// Returns whether every whole frame was visited.
    private func visitFrames(_ visits: inout Visits) throws -> Bool {
        while watch != nil {
            if let batch = unfinished, !(try visitRuns(batch, &visits)) { return false }
            if visits.areUsed { return input.count == 0 }
            guard let frame = try input.next() else { return true }
            visits.use()
            if let batch = BackendMessage.tokens(in: frame) {
                if try conversation.backendSaysTokens() { unfinished = batch } else { try settle(batch) }
                continue
            }
            let message = try BackendMessage(decoding: frame)
            try conversation.backendSays(message)
            switch message {
            case .tokens(let batch):
                if conversation.phase == .settling { try settle(batch) } else { unfinished = batch }
            case .hello(let hello):
                helloFrame = Array(frame)
                owner?.heard(hello)
            case .loadProgress(let progress): owner?.heard(progress)
            case .loaded(let loaded):
                loadedFrame = Array(frame)
                handlers = Array(repeating: nil, count: Int(loaded.maxSequences))
                owner?.heard(loaded)
            case .tokenCount(let count):
                if let result = count.result {
                    questions.answer(count.query, result.map { .count($0) }.mapError { .refused($0) })
                }
            case .tokenized(let tokenized):
                if let result = tokenized.result {
                    questions.answer(tokenized.query, result.map(PromptAnswer.init).mapError { .refused($0) })
                }
            case .embedded(let embedded):
                if embedded.fault == nil { tokensEmbedded += UInt64(embedded.computedTokens) }
                embeddings.end(embedded.query)?(.success(embedded))
                owner?.roomFreed()
            case .pong(let pong):
                owner?.heard(pong)
                if isSettling { lookWhetherSettled() }
            case .fatal(let fault): owner?.gaveUp(fault)
            case .inspected(let inspected): owner?.heard(inspected)
            }
        }
        return true
    }

    /// A batch for the agent before this one.
    @inline(never)
    private func settle(_ batch: TokenBatchView) throws {
        try conversation.settle(batch)
        lookWhetherSettled()
    }

    /// Asks again after a moment while something of the other agent's runs.
    private func lookWhetherSettled() {
        if conversation.phase == .settling {
            if settlingTimer != nil { return }
            settlingTimer = IOLoop.schedule(afterMilliseconds: Self.settlingPingMilliseconds) { [weak self] in
                self?.settlingTimer = nil
                self?.ping()
            }
            return
        }
        guard isSettling else { return }
        stopSettling()
        owner?.settled()
        owner?.roomFreed()
    }

    private func stopSettling() {
        isSettling = false
        settlingTimer?.cancel()
        settlingTimer = nil
    }

    /// The token path. A handler may call back into this connection at any point; no exclusive access is held while it
    /// runs, and the frame's memory stays until the next read. Returns whether every run was visited.
    private func visitRuns(_ batch: TokenBatchView, _ visits: inout Visits) throws -> Bool {
        var batch = batch
        unfinished = nil
        while !visits.areUsed {
            guard let run = try conversation.next(&batch) else { return true }
            visits.use()
            tokensReceived &+= UInt64(truncatingIfNeeded: run.tokenCount)
            if run.finishStart != nil, let finish = run.finish {
                end(run, finish)
            } else {
                handlers[Int(run.sequence)]?.received(run)
            }
        }
        if watch != nil || standsStill { unfinished = batch }
        return false
    }

    /// Not inlined into the loop above, which runs for every token and keeps more in registers without it.
    @inline(never)
    private func end(_ run: TokenRunView, _ finish: Finish) {
        let handler = handlers[Int(run.sequence)]
        handlers[Int(run.sequence)] = nil
        if run.tokenCount > 0 || run.text.count > 0 { handler?.received(run) }
        handler?.finished(finish)
        owner?.roomFreed()
    }
}
