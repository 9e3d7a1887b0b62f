internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

/// A conversation on one `Chat` stream: prints each answer as it comes and remembers it for the next turn.
actor ChatSession {
    private let stream: BidirectionalCall<Hearth_V1_ChatRequest, Hearth_V1_ChatEvent>
    private let template: Hearth_V1_GenerateRequest
    private let showsStats: Bool
    private var messages: [Hearth_V1_Message] = []
    private var isAsking = false

    init(
        stream: BidirectionalCall<Hearth_V1_ChatRequest, Hearth_V1_ChatEvent>, template: Hearth_V1_GenerateRequest,
        system: String?, showsStats: Bool
    ) {
        self.stream = stream
        self.template = template
        self.showsStats = showsStats
        if let system { messages.append(.with { ($0.role, $0.content) = (.system, system) }) }
    }

    /// Reads prompts from the terminal until its end.
    func converse() async throws {
        while let line = await Self.readLine() {
            if line.isEmpty { continue }
            _ = try await ask(line)
        }
        print()
        try await finish()
    }

    /// Says that no turn follows, and waits for the host's last word.
    func finish() async throws {
        await stream.endSending()
        for try await _ in stream.responses {}
    }

    /// Ctrl-C: ends the answer that comes, or explains itself.
    func interrupt() async {
        if isAsking {
            try? await stream.send(.with { $0.cancel = .init() })
        } else {
            Self.write("\n(Ctrl-D ends the conversation)\n> ")
        }
    }

    /// One turn; says whether it was cancelled.
    func ask(_ prompt: String) async throws -> Bool {
        messages.append(.with { ($0.role, $0.content) = (.user, prompt) })
        var request = template
        request.messages.messages = messages
        isAsking = true
        defer { isAsking = false }
        let asked = Monotonic.now()
        try await stream.send(.with { $0.generate = request })
        var answer = ""
        var first: Monotonic?
        var reason = Hearth_V1_FinishReason.unspecified
        for try await event in stream.responses {
            switch event.event {
            case .queued(let queued):
                Self.note("waiting, \(queued.position) before this")
            case .delta(let delta):
                if first == nil { first = .now() }
                answer += delta.text
                Self.write(delta.text)
            case .finished(let finished): reason = finished.reason
            case .usage(let usage):
                Self.write("\n")
                messages.append(.with { ($0.role, $0.content) = (.assistant, answer) })
                report(reason, usage, asked: asked, first: first)
                return reason == .cancelled
            case .accepted, nil: break
            }
        }
        throw Status(.dataLoss, "the stream ended without usage: the answer is incomplete")
    }

    private func report(_ reason: Hearth_V1_FinishReason, _ usage: Hearth_V1_Usage, asked: Monotonic, first: Monotonic?)
    {
        if reason == .cancelled { Self.note("cancelled") }
        if reason == .length { Self.note("cut at the longest length") }
        guard showsStats else { return }
        let decode = Double(usage.decodeTime.seconds) + Double(usage.decodeTime.nanos) / 1e9
        // The first token ends the prompt's time; the others are what the decode time was spent on.
        let rate = decode > 0 && usage.completionTokens > 1 ? Double(usage.completionTokens - 1) / decode : 0
        let waited = first.map { String(format: "%.1f ms", Double($0.since(asked)) / 1e6) } ?? "-"
        Self.note(
            "\(usage.promptTokens) prompt tokens (\(usage.cachedPromptTokens) cached), \(usage.completionTokens) tokens, "
                + String(format: "%.0f tokens/s, ", rate) + "first token after \(waited)")
    }

    private static func write(_ text: String) {
        Output.write(text)
    }

    private static func note(_ text: String) {
        Output.note("[\(text)]")
    }

    /// A line from the terminal, read on a thread of its own because reading blocks.
    private static func readLine() async -> String? {
        write("> ")
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Swift.readLine()) }
        }
    }
}
