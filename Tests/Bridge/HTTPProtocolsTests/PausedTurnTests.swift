import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct PausedTurnTests {
    private let events: [Hearth_V1_ChatEvent] = [
        .with { $0.queued.position = 1 }, .with { $0.accepted.model = "m" }, .with { $0.delta.text = "A" },
        .with { $0.delta.text = "b" }, .with { $0.finished.reason = .stop }, .with { $0.usage.completionTokens = 2 },
    ]

    private func answer<Asked: TurnRequest>(
        _: Asked.Type, _ body: String, _ events: [Hearth_V1_ChatEvent]
    ) throws -> String {
        var answer = try Asked(Array(body.utf8)).answer(AnswerStamp(id: "1", created: 1_700_000_000))
        let text = try events.reduce("") { try $0 + answer.receive($1) }
        #expect(answer.isComplete)
        return text
    }

    @Test func `a turn that stands still anywhere is answered in each protocol as one that does not`() throws {
        func check<Asked: TurnRequest>(_ type: Asked.Type, _ body: String) throws {
            let whole = try answer(type, body, events)
            #expect(whole.contains("A"))
            for place in events.indices.dropLast() {
                var paused = events
                paused.insert(.with { $0.paused.reason = .owner }, at: place)
                paused.insert(.with { $0.resumed = .init() }, at: place + 1)
                #expect(try answer(type, body, paused) == whole, "\(type) before event \(place)")
            }
        }
        let messages = #""model": "m", "messages": [{"role": "user", "content": "Hi"}]"#
        try check(ChatCompletionRequest.self, "{\(messages), \"stream\": true}")
        try check(MessagesRequest.self, "{\(messages), \"stream\": true, \"max_tokens\": 5}")
        try check(OllamaChatRequest.self, "{\(messages)}")
        try check(CompletionRequest.self, #"{"model": "m", "prompt": "Hi", "stream": true}"#)
        try check(ResponsesRequest.self, #"{"model": "m", "input": "Hi", "stream": true}"#)
    }
}
