import Foundation
import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct CompletionAnswerTests {
    private func answer(_ members: String) throws -> CompletionAnswer {
        try CompletionRequest(Array(#"{"model": "m", "prompt": "Once", \#(members)}"#.utf8))
            .answer(AnswerStamp(id: "1", created: 5))
    }

    private func delta(
        _ text: String, _ choice: UInt32 = 0, _ tokens: [Hearth_V1_TokenLogprob] = []
    ) -> Hearth_V1_ChatEvent {
        .with {
            $0.delta.text = text
            $0.choice = choice
            if !tokens.isEmpty { $0.delta.logprobs.tokens = tokens }
        }
    }

    private func finished(_ reason: Hearth_V1_FinishReason, _ choice: UInt32 = 0) -> Hearth_V1_ChatEvent {
        .with {
            $0.finished.reason = reason
            $0.choice = choice
        }
    }

    private func token(
        _ bytes: [UInt8], _ logprob: Float, _ alternatives: [([UInt8], Float)] = []
    ) -> Hearth_V1_TokenLogprob {
        .with {
            $0.text = Data(bytes)
            $0.logprob = logprob
            $0.alternatives = alternatives.map { text, logprob in
                .with {
                    $0.text = Data(text)
                    $0.logprob = logprob
                }
            }
        }
    }

    private let accepted = Hearth_V1_ChatEvent.with { $0.accepted.model = "m:4b" }
    private let usage = Hearth_V1_ChatEvent.with {
        $0.usage.promptTokens = 7
        $0.usage.completionTokens = 2
        $0.usage.cachedPromptTokens = 6
    }
    private let cost =
        #"{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":6}}"#

    private func texts(_ answer: inout CompletionAnswer, _ events: [Hearth_V1_ChatEvent]) throws -> [String] {
        try events.flatMap { event in
            try answer.receive(event).split(separator: "\n\n").map { text in
                #expect(text.hasPrefix("data: "))
                return String(text.dropFirst(6))
            }
        }
    }

    private func object(_ choices: String, _ rest: String = "") -> String {
        #"{"id":"cmpl-1","object":"text_completion","created":5,"model":"m:4b","choices":[\#(choices)]\#(rest)}"#
    }

    private func piece(_ text: String, _ finish: String = "null", index: Int = 0, logprobs: String = "null") -> String {
        #"{"index":\#(index),"text":"\#(text)","logprobs":\#(logprobs),"finish_reason":\#(finish)}"#
    }

    @Test func `a stream is the pieces and the reason`() throws {
        var answer = try answer(#""stream": true"#)
        let chunks = try texts(
            &answer, [.with { $0.queued.position = 1 }, accepted, delta("A"), delta(""), finished(.length)])
        #expect(chunks == [object(piece("A")), object(piece("", #""length""#))])
        #expect(!answer.isComplete)
        #expect(try texts(&answer, [usage]) == ["[DONE]"])
        #expect(answer.isComplete)
        #expect(answer.object == nil)
    }

    @Test func `what it cost comes in a chunk of its own where it was asked for`() throws {
        var answer = try answer(#""stream": true, "stream_options": {"include_usage": true}"#)
        let chunks = try texts(&answer, [accepted, delta("A"), finished(.stop), usage])
        #expect(
            chunks == [
                object(piece("A"), #","usage":null"#), object(piece("", #""stop""#), #","usage":null"#),
                object("", #","usage":\#(cost)"#), "[DONE]",
            ])
    }

    @Test func `choices are told apart`() throws {
        var answer = try answer(#""stream": true, "n": 2"#)
        let chunks = try texts(
            &answer, [accepted, delta("B", 1), delta("A"), finished(.stop, 1), finished(.length)])
        #expect(
            chunks == [
                object(piece("B", index: 1)), object(piece("A")), object(piece("", #""stop""#, index: 1)),
                object(piece("", #""length""#)),
            ])
    }

    @Test func `log-probabilities have the older shape, with offsets that go on`() throws {
        var answer = try answer(#""stream": true, "logprobs": 2"#)
        let first = [token([0x61, 0xc3], -0.5, [([0x62], -0.25), ([0x61, 0xc3], -0.5)])]
        // Two tokens that are no text of their own have the same name; the likelier one is shown.
        let second = [token([0xa9], -1, [([0xa8], -0.75), ([0xa9], -1)]), token([0x78], -2)]
        let chunks = try texts(&answer, [accepted, delta("a", 0, first), delta("\u{e9}x", 0, second)])
        let bad = "\u{fffd}"
        let one =
            #"{"tokens":["a\#(bad)"],"token_logprobs":[-0.5],"top_logprobs":[{"b":-0.25,"a\#(bad)":-0.5}],"#
            + #""text_offset":[0]}"#
        let two =
            #"{"tokens":["\#(bad)","x"],"token_logprobs":[-1.0,-2.0],"top_logprobs":[{"\#(bad)":-0.75},{"x":-2.0}],"#
            + #""text_offset":[2,2]}"#
        #expect(chunks == [object(piece("a", logprobs: one)), object(piece("\u{e9}x", logprobs: two))])
    }

    @Test func `log-probabilities of held text come without one, and are left out where nobody asked`() throws {
        let held = delta("", 0, [token([0xc3], -0.5)])
        var asked = try answer(#""stream": true, "logprobs": 0"#)
        #expect(try texts(&asked, [accepted, held]).count == 1)
        var other = try answer(#""stream": true"#)
        #expect(try texts(&other, [accepted, held]) == [])
    }

    @Test func `an answer in one object is there once it is whole`() throws {
        var answer = try answer(#""n": 2, "logprobs": 0"#)
        let events = [
            accepted, delta("A", 0, [token([0x41], -0.5)]), delta("B", 1), delta("b", 0, [token([0x62], -1)]),
            finished(.stop), finished(.length, 1),
        ]
        #expect(try texts(&answer, events) == [])
        #expect(answer.object == nil)
        #expect(try texts(&answer, [usage]) == [])
        let first =
            #"{"tokens":["A","b"],"token_logprobs":[-0.5,-1.0],"top_logprobs":[{"A":-0.5},{"b":-1.0}],"#
            + #""text_offset":[0,1]}"#
        let second = #"{"tokens":[],"token_logprobs":[],"top_logprobs":[],"text_offset":[]}"#
        #expect(
            answer.object?.text
                == object(
                    piece("Ab", #""stop""#, logprobs: first) + ","
                        + piece("B", #""length""#, index: 1, logprobs: second), #","usage":\#(cost)"#))
    }

    @Test func `events that break the contract are a failure, not an end`() throws {
        let bad: [[Hearth_V1_ChatEvent]] = [
            [accepted, usage], [delta("A", 1)], [finished(.stop), delta("A")], [finished(.stop), finished(.stop)],
            [finished(.cancelled)], [finished(.unspecified)], [finished(.toolCalls)], [finished(.stop), usage, usage],
            [.with { $0.delta.reasoning = "Hm" }],
            [.with { $0.delta.toolCalls.pieces = [.with { $0.arguments = "{" }] }],
        ]
        for events in bad {
            for streams in [true, false] {
                var answer = try answer(#""stream": \#(streams)"#)
                #expect(throws: HTTPFailure.self) { try texts(&answer, events) }
                #expect(events.last == usage && events.count == 3 || !answer.isComplete)
            }
        }
    }

    @Test func `a stream that failed ends with the error`() throws {
        let answer = try answer(#""stream": true"#)
        #expect(
            answer.failed(.invalid("n", "no"))
                == #"data: {"error":{"message":"no","type":"invalid_request_error","param":"n","code":null}}"# + "\n\n")
    }
}
