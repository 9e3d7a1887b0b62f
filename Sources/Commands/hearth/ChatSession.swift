internal import ChatTerminal
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

/// A conversation with a model: prints each answer as it comes and remembers it for the next turn. A turn that fails,
/// even by a lost connection, leaves the conversation as it was before.
actor ChatSession {
    typealias Stream = BidirectionalCall<Hearth_V1_ChatRequest, Hearth_V1_ChatEvent>

    private let consumer: ConsumerOptions
    var template: Hearth_V1_GenerateRequest
    var showsStats: Bool
    private let printsEvents: Bool
    private(set) var host: ConsumerOptions.Host?
    private var stream: Stream?
    /// The call that goes on with a turn whose stream was lost.
    private var resumption: BidirectionalCall<Hearth_V1_ResumeRequest, Hearth_V1_ChatEvent>?
    var conversation: Conversation
    private var input: PromptInput?
    private var isAsking = false
    /// Whether the turn's request was sent, so that a cancel would follow it.
    private var isSent = false
    /// The number of interrupts since the last line was asked for.
    private var interrupts = 0

    /// How long a question waits for a host that is being started again.
    private static let restartMilliseconds: UInt64 = 5_000

    init(
        consumer: ConsumerOptions, template: Hearth_V1_GenerateRequest, system: String?, showsStats: Bool,
        printsEvents: Bool = false
    ) {
        self.printsEvents = printsEvents
        self.consumer = consumer
        self.template = template
        self.showsStats = showsStats
        conversation = Conversation(system: system)
    }

    /// Connects once; the client connects again by itself.
    func connect() async throws {
        if host == nil { host = try await consumer.connect() }
    }

    func close() async {
        await stream?.endSending()
        await host?.client.close()
    }

    /// Reads prompts from the terminal until its end.
    func converse() async {
        let input = PromptInput { [weak self] in Task { await self?.interrupt() } }
        self.input = input
        while true {
            interrupts = 0
            guard let prompt = await input.next() else { break }
            let instruction = prompt.isQuoted ? .prompt(prompt.text) : ChatInstruction(prompt.text)
            if instruction == .bye { break }
            guard case .prompt(let text) = instruction else {
                await perform(instruction)
                continue
            }
            if text.allSatisfy(\.isWhitespace) { continue }
            do {
                _ = try await ask(text)
            } catch {
                Self.tell(error)
            }
            await input.separate()
        }
        TerminalModes.restore(finally: true)
    }

    /// Ctrl-C: cancels the answer that comes, now or as soon as there is one. A second one gives the answer up. Returns
    /// false outside a conversation if there is nothing to cancel or it was the second one. `isSignal`: the signal may
    /// have come while a line is written, and then is not for the next answer.
    @discardableResult
    func interrupt(isSignal: Bool = false) async -> Bool {
        if isSignal, let input, await input.takeInterrupt() { return true }
        interrupts += 1
        if isAsking, let resumption {
            // The turn is resumed once more, to be cancelled.
            await resumption.cancel()
            return interrupts == 1 || input != nil
        }
        guard isAsking, let stream else { return input != nil }
        guard interrupts == 1 else {
            await stream.cancel()
            return input != nil
        }
        // Sending waits if the host reads nothing any more.
        if isSent { Task { try? await stream.send(.with { $0.cancel = .init() }) } }
        return true
    }

    /// Runs one turn and returns whether it was cancelled. A conversation that has become too long for the model goes
    /// on without its oldest turns.
    func ask(_ question: String) async throws -> Bool {
        isAsking = true
        defer { (isAsking, isSent) = (false, false) }
        let forgotten = conversation.forgotten
        while true {
            var turn = ChatTurn(
                showsStats: showsStats, printsEvents: printsEvents, choices: max(template.choices, 1))
            let isFresh = stream == nil
            do {
                let stream = try await send(question)
                do {
                    try await Self.read(stream.responses, &turn)
                } catch {
                    self.stream = nil
                    try await resume(&turn, after: error)
                }
            } catch {
                turn.abandon()
                self.stream = nil
                let status = Status(describing: error)
                // A stream that had ended since the last turn is no failure of this one.
                let wasOver = !isFresh && interrupts == 0 && !turn.hasBegun && status.code == .unavailable
                let isTooLong = input != nil && status.code == .invalidArgument && status.badFields.contains("prompt")
                if wasOver || (isTooLong && conversation.forgetOldest()) { continue }
                // The host has gone since the last turn, and has not come back.
                if input != nil, status.code == .unavailable, !turn.hasBegun, let host, await !host.client.isOpen {
                    throw Connection.unreachable(status.message, host.security)
                }
                if isTooLong { throw Status(status.code, "\(status.message) (even without what was said before)") }
                throw error
            }
            conversation.note(question: question, answer: turn.answer)
            let left = conversation.forgotten - forgotten
            if left > 0 {
                ChatNotes.write(
                    "the conversation is longer than the model's context: its oldest \(left == 1 ? "turn is" : "\(left) turns are")"
                        + " no longer seen by the model; /save FILE keeps all of it")
            }
            return turn.reason == .cancelled
        }
    }

    private static func read(_ events: MessageStream<Hearth_V1_ChatEvent>, _ turn: inout ChatTurn) async throws {
        for try await event in events {
            try turn.take(event)
            if turn.isOver { return }
        }
        throw Status(.dataLoss, "the stream ended without usage: the answer is incomplete")
    }

    /// Goes on with a turn whose call has ended with an error before it, as often as the connection is lost. Throws the error
    /// where that does not help.
    private func resume(_ turn: inout ChatTurn, after error: any Error) async throws {
        var (error, attempts, isCancelled) = (error, AnswerResumption(), false)
        defer { resumption = nil }
        while true {
            let wasOpen = await host?.client.isOpen ?? false
            let isToCancel = resumption != nil && interrupts == 1 && !isCancelled
            guard let token = turn.resumeToken,
                isToCancel
                    || attempts.mayHelp(
                        isLoss: Status(describing: error).code == .unavailable, isOpen: wasOpen, at: .now)
            else { throw error }
            if !wasOpen { ChatNotes.write("the connection was lost; the answer goes on once there is another one") }
            try await connect(&attempts, after: error)
            guard let host else { throw error }
            let call = await host.client.bidirectional(
                "/hearth.v1.Inference/Resume", requests: Hearth_V1_ResumeRequest.self,
                answers: Hearth_V1_ChatEvent.self, options: host.options)
            resumption = call
            let seq = turn.lastSeq
            isCancelled = interrupts > 0
            do {
                try await call.send(
                    .with { ($0.resumeToken, $0.after, $0.cancel) = (token, seq, isCancelled) })
                await call.endSending()
                return try await Self.read(call.responses, &turn)
            } catch let failure {
                error = failure
            }
            if turn.lastSeq > seq { attempts.progressed() }
        }
    }

    /// Connects as soon as that is possible; throws the loss when it was not for too long.
    private func connect(_ attempts: inout AnswerResumption, after loss: any Error) async throws {
        while true {
            do {
                return try await connect()
            } catch {
                guard interrupts == 0, let pause = attempts.pause(isLocal: consumer.isLocal, at: .now) else {
                    throw loss
                }
                try await Task.sleep(for: pause)
            }
        }
    }

    private func send(_ question: String) async throws -> Stream {
        isSent = false
        try await connect()
        let stream = try await openStream()
        var request = template
        request.messages.messages = conversation.messages(asking: question)
        try await stream.send(.with { $0.generate = request })
        isSent = true
        // Ctrl-C came before.
        if interrupts > 0 { try await stream.send(.with { $0.cancel = .init() }) }
        return stream
    }

    private func openStream() async throws -> Stream {
        if let stream { return stream }
        guard let host else { throw Status(.unavailable, "the connection is closed") }
        var options = host.options
        options.waitForReadyMilliseconds = Self.restartMilliseconds
        let made = await host.client.bidirectional(
            "/hearth.v1.Inference/Chat", requests: Hearth_V1_ChatRequest.self, answers: Hearth_V1_ChatEvent.self,
            options: options)
        stream = made
        return made
    }

    static func tell(_ error: any Error) {
        if let status = error as? Status, status.code == .cancelled { return ChatNotes.write("cancelled") }
        _ = Failure.described(error)
    }
}
