import Foundation
import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct OllamaAnswerTests {
    private static let stamp = AnswerStamp(id: "1", created: 1_700_000_000)

    private func chat(_ members: String = "") throws -> OllamaAnswer {
        let body = #"{"model": "m", "messages": [{"role": "user", "content": "Hi"}]\#(members)}"#
        return try OllamaChatRequest(Array(body.utf8)).answer(Self.stamp)
    }

    private func generate(_ members: String = "") throws -> OllamaAnswer {
        try OllamaGenerateRequest(Array(#"{"model": "m", "prompt": "Hi"\#(members)}"#.utf8)).answer(Self.stamp)
    }

    private func delta(_ change: (inout Hearth_V1_Delta) -> Void) -> Hearth_V1_ChatEvent {
        .with { change(&$0.delta) }
    }

    private func text(_ text: String) -> Hearth_V1_ChatEvent { delta { $0.text = text } }

    private func piece(
        _ index: UInt32, _ arguments: String, id: String = "", name: String = ""
    ) -> Hearth_V1_ToolCallPiece {
        .with {
            $0.index = index
            $0.id = id
            $0.name = name
            $0.arguments = arguments
        }
    }

    private func calls(_ pieces: Hearth_V1_ToolCallPiece...) -> Hearth_V1_ChatEvent {
        delta { $0.toolCalls.pieces = pieces }
    }

    private func finished(_ reason: Hearth_V1_FinishReason) -> Hearth_V1_ChatEvent {
        .with { $0.finished.reason = reason }
    }

    private let queued = Hearth_V1_ChatEvent.with { $0.queued.position = 1 }
    private let accepted = Hearth_V1_ChatEvent.with { $0.accepted.model = "m:4b" }
    private let usage = Hearth_V1_ChatEvent.with {
        $0.usage.promptTokens = 7
        $0.usage.completionTokens = 2
        $0.usage.queueTime = .with { $0.nanos = 500 }
        $0.usage.timeToFirstToken = .with {
            $0.seconds = 1
            $0.nanos = 700
        }
        $0.usage.decodeTime = .with { $0.seconds = 2 }
    }
    private let cost =
        #""total_duration":3000000700,"load_duration":500,"prompt_eval_count":7,"prompt_eval_duration":1000000200,"#
        + #""eval_count":2,"eval_duration":2000000000}"#
    private let opening = #"{"model":"m:4b","created_at":"2023-11-14T22:13:20Z","#

    private func lines(_ answer: inout OllamaAnswer, _ events: [Hearth_V1_ChatEvent]) throws -> [String] {
        try events.flatMap { event in
            let text = try answer.receive(event)
            #expect(text.isEmpty || text.hasSuffix("\n"))
            return text.split(separator: "\n").map(String.init)
        }
    }

    private func message(_ rest: String, _ content: String = "") -> String {
        opening + #""message":{"role":"assistant","content":"\#(content)"\#(rest)}"#
    }

    private func call(_ index: Int, _ id: String, _ name: String, _ arguments: String) -> String {
        #"{"id":"\#(id)","function":{"index":\#(index),"name":"\#(name)","arguments":\#(arguments)}}"#
    }

    @Test func `a chat's stream is a line for each piece, and one of what it cost`() throws {
        var answer = try chat()
        let begun = try lines(
            &answer,
            [queued, accepted, delta { $0.reasoning = "Hm" }, text("A"), delta { $0.tokenCount = 1 }, finished(.stop)])
        #expect(begun == [message(#","thinking":"Hm""#) + #","done":false}"#, message("", "A") + #","done":false}"#])
        #expect(!answer.isComplete)
        #expect(try lines(&answer, [usage]) == [message("") + #","done":true,"done_reason":"stop","# + cost])
        #expect(answer.isComplete)
        #expect(answer.object == nil)
    }

    @Test func `a text's stream has the pieces as responses`() throws {
        var answer = try generate()
        let all = try lines(
            &answer, [accepted, delta { $0.reasoning = "Hm" }, text("A"), finished(.length), usage])
        #expect(
            all == [
                opening + #""response":"","thinking":"Hm","done":false}"#, opening + #""response":"A","done":false}"#,
                opening + #""response":"","done":true,"done_reason":"length","# + cost,
            ])
    }

    @Test func `an answer in one object has all of it, and sends nothing before`() throws {
        let events = [
            accepted, delta { $0.reasoning = "H" }, delta { $0.reasoning = "m" }, text("A"), text("b\n"),
            finished(.stop),
        ]
        var first = try chat(#", "stream": false"#)
        #expect(try lines(&first, events) == [])
        #expect(first.object == nil)
        #expect(try lines(&first, [usage]) == [])
        #expect(
            first.object?.text
                == message(#","thinking":"Hm""#, #"Ab\n"#) + #","done":true,"done_reason":"stop","# + cost)
        var second = try generate(#", "stream": false"#)
        #expect(try lines(&second, events + [usage]) == [])
        #expect(
            second.object?.text
                == opening + #""response":"Ab\n","thinking":"Hm","done":true,"done_reason":"stop","# + cost)
    }

    @Test func `a call is sent once it is whole`() throws {
        var answer = try chat()
        #expect(try lines(&answer, [accepted, calls(piece(0, "", id: "c1", name: "look"))]) == [])
        #expect(try lines(&answer, [calls(piece(0, #"{"at": "#), piece(0, "\n [1,\t2]"))]) == [])
        // A line end stands between two values, and in a string it is escaped.
        let next = calls(piece(0, #", "b": "\n"}"#), piece(1, "{}", id: "c2", name: "go"))
        let first = call(0, "c1", "look", #"{"at":  [1,2], "b": "\n"}"#)
        #expect(try lines(&answer, [next]) == [message(#","tool_calls":[\#(first)]"#) + #","done":false}"#])
        let second = call(1, "c2", "go", "{}")
        #expect(
            try lines(&answer, [finished(.toolCalls), usage]) == [
                message(#","tool_calls":[\#(second)]"#) + #","done":false}"#,
                message("") + #","done":true,"done_reason":"stop","# + cost,
            ])
    }

    @Test func `an answer in one object has the calls in order`() throws {
        var answer = try chat(#", "stream": false"#)
        let both = calls(
            piece(0, "{", id: "c1", name: "look"), piece(0, "}"), piece(1, #"{"a":1e2}"#, id: "c2", name: "go"))
        #expect(try lines(&answer, [accepted, text("So:"), both, finished(.toolCalls), usage]) == [])
        let list = #","tool_calls":[\#(call(0, "c1", "look", "{}")),\#(call(1, "c2", "go", #"{"a":1e2}"#))]"#
        #expect(
            answer.object?.text == message(list, "So:") + #","done":true,"done_reason":"stop","# + cost)
    }

    @Test("a last call that was cut is left out", arguments: [Hearth_V1_FinishReason.length, .stop])
    func cut(reason: Hearth_V1_FinishReason) throws {
        let word = reason == .stop ? "stop" : "length"
        let end = message("") + #","done":true,"done_reason":"\#(word)","# + cost
        var answer = try chat()
        let begun = calls(piece(0, #"{"at": ["#, id: "c1", name: "look"))
        #expect(try lines(&answer, [accepted, begun, finished(reason), usage]) == [end])
        // A whole one is not, whatever ended the turn.
        var other = try chat()
        let whole = calls(piece(0, "{}", id: "c1", name: "look"))
        let line = message(#","tool_calls":[\#(call(0, "c1", "look", "{}"))]"#) + #","done":false}"#
        #expect(try lines(&other, [accepted, whole, finished(reason), usage]) == [line, end])
    }

    @Test func `log-probabilities come with the tokens that they are of, where they were asked for`() throws {
        let event = delta {
            $0.text = "A"
            $0.logprobs.tokens = [
                .with {
                    $0.text = Data([0x41])
                    $0.logprob = -0.5
                    $0.alternatives = [
                        .with {
                            $0.text = Data([0xC3])
                            $0.logprob = -1
                        }
                    ]
                }
            ]
        }
        let token =
            #"{"token":"A","logprob":-0.5,"bytes":[65],"top_logprobs":[{"token":"\#u{fffd}","logprob":-1.0,"bytes":[195]}]}"#
        let held = delta {
            $0.logprobs.tokens = [
                .with {
                    $0.text = Data([0x42])
                    $0.logprob = -2
                }
            ]
        }
        let other = #"{"token":"B","logprob":-2.0,"bytes":[66]}"#
        var answer = try chat(#", "logprobs": true, "top_logprobs": 1"#)
        #expect(
            try lines(&answer, [accepted, event, held]) == [
                message("", "A") + #","logprobs":[\#(token)],"done":false}"#,
                message("") + #","logprobs":[\#(other)],"done":false}"#,
            ])
        var whole = try generate(#", "stream": false, "logprobs": true, "top_logprobs": 1"#)
        _ = try lines(&whole, [accepted, event, held, finished(.stop), usage])
        #expect(
            whole.object?.text
                == opening + #""response":"A","logprobs":[\#(token),\#(other)],"done":true,"done_reason":"stop","#
                + cost)
        var unasked = try chat()
        #expect(try lines(&unasked, [accepted, event]) == [message("", "A") + #","done":false}"#])
    }

    @Test func `an answer without a token took no time to read the prompt`() throws {
        var answer = try generate()
        let usage = Hearth_V1_ChatEvent.with {
            $0.usage.promptTokens = 1
            $0.usage.queueTime = .with { $0.seconds = 3 }
        }
        #expect(
            try lines(&answer, [accepted, finished(.stop), usage]) == [
                opening + #""response":"","done":true,"done_reason":"stop","total_duration":3000000000,"#
                    + #""load_duration":3000000000,"prompt_eval_count":1,"prompt_eval_duration":0,"eval_count":0,"#
                    + #""eval_duration":0}"#
            ])
    }

    @Test func `durations of any size are no trap`() throws {
        var answer = try chat()
        let usage = Hearth_V1_ChatEvent.with {
            $0.usage.queueTime = .with { $0.seconds = Int64.max }
            $0.usage.timeToFirstToken = .with { $0.seconds = Int64.min }
            $0.usage.decodeTime = .with { $0.nanos = Int32.min }
        }
        #expect(try lines(&answer, [accepted, finished(.stop), usage]).count == 1)
    }

    @Test func `events that break the contract are a failure, not an end`() throws {
        let open = calls(piece(0, "{}", id: "c1", name: "look"))
        let bad: [[Hearth_V1_ChatEvent]] = [
            [text("A")], [finished(.stop)], [usage], [accepted, usage], [accepted, accepted], [accepted, queued],
            [accepted, finished(.stop), text("A")], [accepted, finished(.stop), finished(.stop)],
            [accepted, finished(.stop), usage, usage], [accepted, finished(.stop), usage, text("A")],
            [accepted, finished(.cancelled)], [accepted, finished(.unspecified)],
            [accepted, finished(.UNRECOGNIZED(9))],
            [
                accepted,
                .with {
                    $0.delta.text = "A"
                    $0.choice = 1
                },
            ],
            // Calls: a piece of none, of another, a gap, no name, a name twice, and those that are not whole.
            [accepted, calls(piece(0, "{}"))], [accepted, open, calls(piece(1, "{}"))],
            [accepted, calls(piece(1, "{}", id: "c1", name: "look"))],
            [accepted, calls(piece(0, "{}", id: "c1"))], [accepted, open, calls(piece(0, "", name: "look"))],
            [accepted, open, calls(piece(0, "", id: "c1", name: "look"))],
            [accepted, calls(piece(0, "{", id: "c1", name: "look"), piece(1, "{}", id: "c2", name: "look"))],
            [accepted, calls(piece(0, "{", id: "c1", name: "look")), finished(.toolCalls)],
            [accepted, calls(piece(0, "[]", id: "c1", name: "look")), finished(.toolCalls)],
        ]
        for streams in [true, false] {
            for events in bad {
                var answer = try chat(#", "stream": \#(streams)"#)
                for event in events.dropLast() { _ = try answer.receive(event) }
                let failure = #expect(throws: HTTPFailure.self) { try answer.receive(events[events.count - 1]) }
                #expect(failure?.statusCode == 502)
                #expect(answer.object == nil || events.contains(usage))
            }
        }
    }

    @Test func `a call in the answer to a text is a failure`() throws {
        var answer = try generate()
        _ = try answer.receive(accepted)
        #expect(throws: HTTPFailure.self) { try answer.receive(calls(piece(0, "{}", id: "c1", name: "look"))) }
    }

    @Test func `an event that is not known here is passed over`() throws {
        var answer = try chat()
        #expect(try lines(&answer, [Hearth_V1_ChatEvent(), accepted, Hearth_V1_ChatEvent()]) == [])
    }

    @Test func `a line is one line, whatever the text`() throws {
        var answer = try generate()
        _ = try answer.receive(accepted)
        let line = try answer.receive(text("a\n\r\u{2028}\u{0}\u{85}"))
        #expect(line.utf8.filter { $0 < 0x20 } == [0x0a])
        #expect(line.hasSuffix("\n"))
    }

    @Test func `a stream that failed ends with the error, and without an end`() throws {
        var answer = try chat()
        _ = try lines(&answer, [accepted, text("A")])
        let failure = HTTPFailure(503, type: "server_error", "the backend was \"lost\"")
        #expect(answer.failed(failure) == #"{"error":"the backend was \"lost\""}"# + "\n")
        #expect(!answer.isComplete)
    }
}
