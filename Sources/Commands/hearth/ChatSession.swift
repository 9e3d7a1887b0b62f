internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import TerminalText

/// A conversation with a model: prints each answer as it comes and remembers it for the next turn. Whatever ends a turn, and be
/// it the connection, leaves the conversation as it was before.
actor ChatSession {
    typealias Stream = BidirectionalCall<Hearth_V1_ChatRequest, Hearth_V1_ChatEvent>

    private let consumer: ConsumerOptions
    private let template: Hearth_V1_GenerateRequest
    private let showsStats: Bool
    private var host: ConsumerOptions.Host?
    private var stream: Stream?
    private var conversation: Conversation
    private var isConversing = false
    private var isAsking = false
    private var interrupts = 0

    init(consumer: ConsumerOptions, template: Hearth_V1_GenerateRequest, system: String?, showsStats: Bool) {
        self.consumer = consumer
        self.template = template
        self.showsStats = showsStats
        conversation = Conversation(system: system)
    }

    func connect() async throws {
        if let host, await host.client.isOpen { return }
        stream = nil
        host = try await consumer.connect()
    }

    func close() async {
        await stream?.endSending()
        await host?.client.close()
    }

    /// Reads prompts from the terminal until its end.
    func converse() async {
        isConversing = true
        while let line = await Self.readLine() {
            if line.allSatisfy(\.isWhitespace) { continue }
            if line == "/save" || line.hasPrefix("/save ") {
                save(to: line.dropFirst("/save".count).trimmingCharacters(in: .whitespaces))
                continue
            }
            do {
                _ = try await ask(line)
            } catch {
                Self.tell(error)
            }
        }
        Output.print("")
    }

    /// Ctrl-C: asks for the end of the answer that comes. False where there is none, or where that was asked for already,
    /// so that the answer is given up.
    func interrupt() async -> Bool {
        interrupts += 1
        guard isAsking, let stream else {
            if isConversing { Output.write("\n(Ctrl-D ends the conversation)\n> ") }
            return false
        }
        guard interrupts == 1 else {
            await stream.cancel()
            return false
        }
        // It waits where the host reads nothing any more.
        Task { try? await stream.send(.with { $0.cancel = .init() }) }
        return true
    }

    /// One turn; says whether it was cancelled. Where a conversation has become too long for the model, it goes on without
    /// its oldest turns.
    func ask(_ question: String) async throws -> Bool {
        isAsking = true
        interrupts = 0
        defer { isAsking = false }
        let forgotten = conversation.forgotten
        while true {
            var turn = ChatTurn(showsStats: showsStats)
            let isFresh = stream == nil
            do {
                try await connect()
                let stream = try await openStream()
                var request = template
                request.messages.messages = conversation.messages(asking: question)
                try await stream.send(.with { $0.generate = request })
                for try await event in stream.responses {
                    turn.take(event)
                    if turn.isOver { break }
                }
                guard turn.isOver else {
                    throw Status(.dataLoss, "the stream ended without usage: the answer is incomplete")
                }
            } catch {
                turn.abandon()
                self.stream = nil
                let status = Status(describing: error)
                // What had ended since the last turn is no fault of this one.
                let wasOver = !isFresh && interrupts == 0 && !turn.hasBegun && status.code == .unavailable
                let isTooLong = isConversing && status.code == .invalidArgument && status.badFields.contains("prompt")
                if wasOver || (isTooLong && conversation.forgetOldest()) { continue }
                if isTooLong { throw Status(status.code, "\(status.message) (even without what was said before)") }
                throw error
            }
            conversation.note(question: question, answer: turn.answer)
            let left = conversation.forgotten - forgotten
            if left > 0 {
                Self.note(
                    "the conversation is longer than the model's context: its oldest \(left == 1 ? "turn is" : "\(left) turns are")"
                        + " no longer seen by the model; /save FILE keeps all of it")
            }
            return turn.reason == .cancelled
        }
    }

    private func openStream() async throws -> Stream {
        if let stream { return stream }
        guard let host else { throw Status(.unavailable, "the connection is closed") }
        let made = await host.client.bidirectional(
            "/hearth.v1.Inference/Chat", requests: Hearth_V1_ChatRequest.self, answers: Hearth_V1_ChatEvent.self,
            options: host.options)
        stream = made
        return made
    }

    private func save(to file: String) {
        guard !file.isEmpty, !conversation.isEmpty else {
            return Self.note(file.isEmpty ? "write /save and the name of a new file" : "nothing has been said yet")
        }
        do throws(LinuxError) {
            let text = PrintableText.printable(conversation.transcript)
            try FileBytes.replace(file, with: Array(text.utf8), overwriting: false)
            Self.note("saved in \(file)")
        } catch {
            Self.note("cannot \(error)")
        }
    }

    private static func note(_ text: String) { Output.note("[\(printable(text))]") }

    private static func tell(_ error: any Error) {
        if let status = error as? Status, status.code == .cancelled { return note("cancelled") }
        _ = Failure.described(error)
    }

    /// A line from the terminal, read on a thread of its own because reading blocks.
    private static func readLine() async -> String? {
        Output.write("> ")
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Swift.readLine()) }
        }
    }
}
