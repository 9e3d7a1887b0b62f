import Foundation
import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct ChatCompletionAnswerTests {
    private func answer(_ members: String) throws -> ChatCompletionAnswer {
        let body = #"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], \#(members)}"#
        return try ChatCompletionRequest(Array(body.utf8)).answer(AnswerStamp(id: "1", created: 5))
    }

    private func delta(_ choice: UInt32 = 0, _ change: (inout Hearth_V1_Delta) -> Void) -> Hearth_V1_ChatEvent {
        .with {
            change(&$0.delta)
            $0.choice = choice
        }
    }

    private func finished(_ reason: Hearth_V1_FinishReason, _ choice: UInt32 = 0) -> Hearth_V1_ChatEvent {
        .with {
            $0.finished.reason = reason
            $0.choice = choice
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

    private func texts(_ answer: inout ChatCompletionAnswer, _ events: [Hearth_V1_ChatEvent]) throws -> [String] {
        try events.flatMap { event in
            try answer.receive(event).split(separator: "\n\n").map { text in
                #expect(text.hasPrefix("data: "))
                return String(text.dropFirst(6))
            }
        }
    }

    private func chunk(_ choices: String, _ rest: String = "") -> String {
        #"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m:4b","choices":["#
            + choices + "]" + rest + "}"
    }

    private func piece(_ delta: String, _ finish: String = "null", index: Int = 0, logprobs: String = "null") -> String
    {
        #"{"index":\#(index),"delta":\#(delta),"logprobs":\#(logprobs),"finish_reason":\#(finish)}"#
    }

    private let opening = #"{"role":"assistant","content":""}"#

    @Test func `a stream is the opening, the pieces and the reason`() throws {
        var answer = try answer(#""stream": true"#)
        let chunks = try texts(
            &answer, [accepted, delta { $0.text = "A" }, delta { $0.tokenCount = 1 }, finished(.length)])
        #expect(
            chunks == [
                chunk(piece(opening)), chunk(piece(#"{"content":"A"}"#)), chunk(piece("{}", #""length""#)),
            ])
        #expect(!answer.isComplete)
        #expect(try texts(&answer, [usage]) == ["[DONE]"])
        #expect(answer.isComplete)
    }

    @Test func `a fingerprint is that of the weights and of the backend's version, in every chunk`() throws {
        func fingerprints(_ digest: [UInt8], _ backend: String) throws -> Set<Substring> {
            var answer = try answer(#""stream": true"#)
            let accepted = Hearth_V1_ChatEvent.with {
                $0.accepted.modelDigest = Data(digest)
                $0.accepted.backend = backend
            }
            let chunks = try texts(&answer, [accepted, delta { $0.text = "A" }, finished(.stop)])
            #expect(chunks.count == 3)
            return Set(chunks.map { $0.firstMatch(of: /"system_fingerprint":"(fp_[0-9a-f]{10})"/)?.1 ?? "" })
        }
        let first = try fingerprints([1, 2], "llama/1")
        #expect(try first.count == 1 && !first.contains("") && first == fingerprints([1, 2], "llama/1"))
        #expect(try first != fingerprints([1, 2], "llama/2") && first != fingerprints([1, 3], "llama/1"))
        #expect(try fingerprints([], "") == [""], "of nothing that is known there is none")
    }

    @Test func `what it cost comes in a chunk of its own where it was asked for`() throws {
        var answer = try answer(#""stream": true, "stream_options": {"include_usage": true}"#)
        let chunks = try texts(&answer, [accepted, finished(.stop), usage])
        #expect(
            chunks == [
                chunk(piece(opening), #","usage":null"#), chunk(piece("{}", #""stop""#), #","usage":null"#),
                chunk("", #","usage":\#(cost)"#), "[DONE]",
            ])
    }

    @Test func `reasoning and calls have their members, and a call's id comes once`() throws {
        var answer = try answer(#""stream": true"#)
        let first = delta {
            $0.toolCalls.pieces = [
                .with {
                    $0.id = "c1"
                    $0.name = "look"
                }
            ]
        }
        let second = delta { $0.toolCalls.pieces = [.with { $0.arguments = #"{"a":1}"# }] }
        let begun = #"{"name":"look","arguments":""}"#
        let chunks = try texts(
            &answer, [accepted, delta { $0.reasoning = "Hm" }, first, second, finished(.toolCalls)])
        #expect(
            chunks.dropFirst() == [
                chunk(piece(#"{"reasoning_content":"Hm"}"#)),
                chunk(piece(#"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":\#(begun)}]}"#)),
                chunk(piece(#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}"#)),
                chunk(piece("{}", #""tool_calls""#)),
            ])
    }

    @Test func `choices are told apart, and each has its own opening`() throws {
        var answer = try answer(#""stream": true, "n": 2"#)
        let chunks = try texts(
            &answer,
            [accepted, delta(1) { $0.text = "B" }, delta(0) { $0.text = "A" }, finished(.stop, 1), finished(.stop, 0)])
        #expect(
            chunks == [
                chunk(piece(opening, index: 1)), chunk(piece(#"{"content":"B"}"#, index: 1)),
                chunk(piece(opening)), chunk(piece(#"{"content":"A"}"#)),
                chunk(piece("{}", #""stop""#, index: 1)), chunk(piece("{}", #""stop""#)),
            ])
    }

    @Test func `log-probabilities come with their bytes, also where no text does`() throws {
        var answer = try answer(#""stream": true, "logprobs": true, "top_logprobs": 1"#)
        let held = delta {
            $0.logprobs.tokens = [
                .with {
                    $0.text = Data([0xc3])
                    $0.logprob = -0.5
                    $0.alternatives = [
                        .with {
                            $0.text = Data("a".utf8)
                            $0.logprob = -0.25
                        }
                    ]
                }
            ]
        }
        let likeliest = #"[{"token":"a","logprob":-0.25,"bytes":[97]}]"#
        let entry = #"{"token":"\#u{fffd}","logprob":-0.5,"bytes":[195],"top_logprobs":\#(likeliest)}"#
        let chunks = try texts(&answer, [accepted, held])
        #expect(chunks.last == chunk(piece("{}", logprobs: #"{"content":[\#(entry)],"refusal":null}"#)))
    }

    @Test func `an answer in one object is there once it is whole`() throws {
        var answer = try answer(#""n": 2"#)
        let call = delta(1) {
            $0.toolCalls.pieces = [
                .with {
                    $0.id = "c1"
                    $0.name = "look"
                    $0.arguments = "{"
                }, .with { $0.arguments = "}" },
            ]
        }
        let events = [
            accepted, delta { $0.text = "A" }, call, delta { $0.text = "b\n" }, finished(.stop),
            finished(.toolCalls, 1),
        ]
        #expect(try texts(&answer, events) == [])
        #expect(answer.object == nil)
        #expect(try texts(&answer, [usage]) == [])
        let message = #"{"role":"assistant","content":"Ab\n","refusal":null,"annotations":[]}"#
        let calls = #"[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]"#
        let second = #"{"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":\#(calls)}"#
        #expect(
            answer.object?.text
                == #"{"id":"chatcmpl-1","object":"chat.completion","created":5,"model":"m:4b","choices":["#
                + #"{"index":0,"message":\#(message),"logprobs":null,"finish_reason":"stop"},"#
                + #"{"index":1,"message":\#(second),"logprobs":null,"finish_reason":"tool_calls"}],"usage":\#(cost)}"#)
    }

    @Test func `events that break the contract are a failure, not an end`() throws {
        let bad: [[Hearth_V1_ChatEvent]] = [
            [accepted, usage], [delta(1) { $0.text = "A" }], [finished(.stop), delta { $0.text = "A" }],
            [finished(.stop), finished(.stop)], [finished(.cancelled)], [finished(.unspecified)],
            [finished(.stop), usage, usage],
        ]
        for events in bad {
            var answer = try answer(#""stream": true"#)
            #expect(throws: HTTPFailure.self) { try texts(&answer, events) }
        }
    }

    @Test func `an event of a stream is one line, whatever the text`() throws {
        var answer = try answer(#""stream": true"#)
        let text = try answer.receive(delta { $0.text = "a\n\r\u{2028}\u{0}" })
        #expect(text.split(separator: "\n\n", omittingEmptySubsequences: false).count == 3)
        #expect(text.replacing("\n\n", with: "").utf8.allSatisfy { $0 >= 0x20 })
    }

    @Test func `a list of models has their ids`() {
        #expect(
            ModelList.object([.with { $0.id = "echo" }]).text
                == #"{"object":"list","data":[{"id":"echo","object":"model","created":0,"owned_by":"hearth"}]}"#)
    }
}
