import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct MessagesAnswerTests {
    private func answer(_ members: String) throws -> MessagesAnswer {
        let body = #"{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], \#(members)}"#
        return try MessagesRequest(Array(body.utf8)).answer(AnswerStamp(id: "1", created: 5))
    }

    private func delta(_ change: (inout Hearth_V1_Delta) -> Void) -> Hearth_V1_ChatEvent { .with { change(&$0.delta) } }

    private func text(_ text: String) -> Hearth_V1_ChatEvent { delta { $0.text = text } }

    private func reasoning(_ text: String) -> Hearth_V1_ChatEvent { delta { $0.reasoning = text } }

    private func piece(_ index: UInt32, _ arguments: String, id: String = "", name: String = "")
        -> Hearth_V1_ToolCallPiece
    {
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

    private func finished(_ reason: Hearth_V1_FinishReason, stop: String? = nil) -> Hearth_V1_ChatEvent {
        .with {
            $0.finished.reason = reason
            if let stop { $0.finished.stop = stop }
        }
    }

    private let queued = Hearth_V1_ChatEvent.with { $0.queued.position = 1 }
    private let accepted = Hearth_V1_ChatEvent.with { $0.accepted.model = "m:4b" }
    private let usage = Hearth_V1_ChatEvent.with {
        $0.usage.promptTokens = 7
        $0.usage.completionTokens = 2
        $0.usage.cachedPromptTokens = 6
    }
    private let cost =
        #"{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":6,"output_tokens":2,"#
        + Self.unknown

    /// The data of each event, whose name is that of its type.
    private func events(_ answer: inout MessagesAnswer, _ events: [Hearth_V1_ChatEvent]) throws -> [String] {
        try events.flatMap { event in
            try answer.receive(event).split(separator: "\n\n").map { text in
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
                #expect(lines.count == 2)
                let data = lines[1].dropFirst(6)
                #expect(lines[1].hasPrefix("data: "))
                #expect(data.hasPrefix(#"{"type":"\#(lines[0].dropFirst("event: ".count))""#))
                return String(data)
            }
        }
    }

    /// What the protocol demands, and this host does not know.
    private static let unknown =
        #""cache_creation":null,"inference_geo":null,"output_tokens_details":null,"server_tool_use":null,"#
        + #""service_tier":null}"#

    private let begun =
        #"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m:4b","#
        + #""content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"container":null,"usage":{"#
        + #""input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"#
        + Self.unknown + "}}"

    private func start(_ index: Int, _ block: String) -> String {
        #"{"type":"content_block_start","index":\#(index),"content_block":\#(block)}"#
    }

    private func more(_ index: Int, _ type: String, _ member: String, _ text: String) -> String {
        #"{"type":"content_block_delta","index":\#(index),"delta":{"type":"\#(type)","\#(member)":"\#(text)"}}"#
    }

    private func stop(_ index: Int) -> String { #"{"type":"content_block_stop","index":\#(index)}"# }

    private func ended(_ reason: String, _ sequence: String = "null") -> [String] {
        [
            #"{"type":"message_delta","delta":{"stop_reason":"\#(reason)","stop_sequence":\#(sequence)},"usage":\#(cost)}"#,
            #"{"type":"message_stop"}"#,
        ]
    }

    private let textBlock = #"{"type":"text","text":"","citations":null}"#
    private let thinkingBlock = #"{"type":"thinking","thinking":"","signature":""}"#
    private let streams = #""stream": true"#
    private let shown = #""stream": true, "thinking": {"type": "adaptive"}"#

    @Test func `a stream is the start, a block and the end, which tells what it cost`() throws {
        var answer = try answer(streams)
        #expect(try events(&answer, [queued, queued, accepted, delta { $0.tokenCount = 1 }]) == [])
        #expect(
            try events(&answer, [text("A"), text("b"), finished(.length)])
                == [
                    begun, start(0, textBlock), more(0, "text_delta", "text", "A"), more(0, "text_delta", "text", "b"),
                    stop(0),
                ])
        #expect(!answer.isComplete)
        #expect(try events(&answer, [usage]) == ended("max_tokens"))
        #expect(answer.isComplete)
        #expect(answer.object == nil)
    }

    @Test func `a stream without content has no block`() throws {
        var answer = try answer(streams)
        #expect(try events(&answer, [accepted, finished(.stop), usage]) == [begun] + ended("end_turn"))
    }

    @Test func `the stop that was met is told`() throws {
        var answer = try answer(#""stream": true, "stop_sequences": ["\"E"]"#)
        #expect(
            try events(&answer, [accepted, finished(.stop, stop: "\"E"), usage]).suffix(2)
                == ended("stop_sequence", #""\"E""#))
        var token = try self.answer(streams)
        let end = Hearth_V1_ChatEvent.with {
            $0.finished.reason = .stop
            $0.finished.stopTokenID = 3
        }
        #expect(try events(&token, [accepted, end, usage]).suffix(2) == ended("end_turn"))
    }

    @Test func `reasoning, text and calls are blocks of their own, one open at a time`() throws {
        var answer = try answer(shown)
        let received = try events(
            &answer,
            [
                accepted, reasoning("H"), reasoning("m"), text("A"), reasoning("So"),
                calls(piece(0, "", id: "c1", name: "look")), calls(piece(0, #"{"a""#), piece(0, ":1}")),
                calls(piece(1, "{}", id: "c2", name: "wait")), finished(.toolCalls), usage,
            ])
        let expected: [String] = [
            begun,
            start(0, thinkingBlock), more(0, "thinking_delta", "thinking", "H"),
            more(0, "thinking_delta", "thinking", "m"), more(0, "signature_delta", "signature", ""), stop(0),
            start(1, textBlock), more(1, "text_delta", "text", "A"), stop(1),
            start(2, thinkingBlock), more(2, "thinking_delta", "thinking", "So"),
            more(2, "signature_delta", "signature", ""), stop(2),
            start(3, #"{"type":"tool_use","id":"c1","name":"look","input":{},"caller":{"type":"direct"}}"#),
            more(3, "input_json_delta", "partial_json", #"{\"a\""#), more(3, "input_json_delta", "partial_json", ":1}"),
            stop(3),
            start(4, #"{"type":"tool_use","id":"c2","name":"wait","input":{},"caller":{"type":"direct"}}"#),
            more(4, "input_json_delta", "partial_json", "{}"), stop(4),
        ]
        #expect(received == expected + ended("tool_use"))
    }

    @Test func `one delta may end a call, go on with text and begin the next`() throws {
        var answer = try answer(shown)
        let both = delta {
            $0.reasoning = "R"
            $0.text = "T"
            $0.toolCalls.pieces = [piece(0, "}"), piece(1, "{}", id: "c2", name: "b")]
        }
        let received = try events(
            &answer, [accepted, calls(piece(0, "{", id: "c1", name: "a")), both, finished(.toolCalls)])
        #expect(
            received.map { $0.prefix(40) }
                == [
                    begun, start(0, ""), more(0, "", "", ""), more(0, "", "", ""), stop(0), start(1, ""),
                    more(1, "", "", ""), more(1, "", "", ""), stop(1), start(2, ""), more(2, "", "", ""), stop(2),
                    start(3, ""), more(3, "", "", ""), stop(3),
                ].map { $0.prefix(40) })
        #expect(received[3] == more(0, "input_json_delta", "partial_json", "}"))
    }

    @Test(
        "reasoning is shown to those who ask for it, and others see that the model works",
        arguments: [
            "", #", "thinking": {"type": "disabled"}"#, #", "thinking": {"type": "enabled", "display": "omitted"}"#,
        ])
    func hiddenReasoning(member: String) throws {
        var answer = try answer(streams + member)
        #expect(
            try events(&answer, [accepted, reasoning("H"), reasoning("m"), text("A"), reasoning("x"), text("b")])
                == [
                    begun, #"{"type":"ping"}"#, #"{"type":"ping"}"#, start(0, textBlock),
                    more(0, "text_delta", "text", "A"), #"{"type":"ping"}"#, more(0, "text_delta", "text", "b"),
                ])
    }

    private func object(_ content: String, _ reason: String, _ sequence: String = "null") -> String {
        #"{"id":"msg_1","type":"message","role":"assistant","model":"m:4b","content":[\#(content)],"#
            + #""stop_reason":"\#(reason)","stop_sequence":\#(sequence),"stop_details":null,"container":null,"usage":\#(cost)}"#
    }

    @Test func `an answer in one object is there once it is whole`() throws {
        var answer = try answer(#""thinking": {"type": "enabled", "budget_tokens": 1024}"#)
        let turn = [
            queued, accepted, reasoning("H"), reasoning("m"), text("A"), text("b\n"),
            calls(piece(0, #"{"a""#, id: "c1", name: "look")), calls(piece(0, ": 1}")),
            calls(piece(1, "{}", id: "c2", name: "wait")), finished(.toolCalls),
        ]
        #expect(try events(&answer, turn) == [])
        #expect(answer.object == nil)
        #expect(try events(&answer, [usage]) == [])
        #expect(
            answer.object?.text
                == object(
                    #"{"type":"thinking","thinking":"Hm","signature":""},{"type":"text","text":"Ab\n","citations":null},"#
                        + #"{"type":"tool_use","id":"c1","name":"look","input":{"a": 1},"caller":{"type":"direct"}},"#
                        + #"{"type":"tool_use","id":"c2","name":"wait","input":{},"caller":{"type":"direct"}}"#,
                    "tool_use"))
    }

    @Test func `an answer in one object has no reasoning that was not asked for, and may be empty`() throws {
        var answer = try answer(#""stream": false"#)
        _ = try events(&answer, [accepted, reasoning("Hm"), finished(.stop, stop: "E"), usage])
        #expect(answer.object?.text == object("", "stop_sequence", #""E""#))
    }

    @Test func `a call that was cut is not in an answer in one object, and a whole one is`() throws {
        let whole = piece(0, #"{"a":[]}"#, id: "c1", name: "look")
        for cut in ["", "{", #"{"a":"#, "{}}"] {
            var answer = try answer(#""stream": false"#)
            _ = try events(
                &answer, [accepted, calls(whole), calls(piece(1, cut, id: "c2", name: "a")), finished(.length), usage])
            #expect(
                answer.object?.text
                    == object(
                        #"{"type":"tool_use","id":"c1","name":"look","input":{"a":[]},"caller":{"type":"direct"}}"#,
                        "max_tokens"))
        }
    }

    @Test(
        "a call that nothing cut is whole",
        arguments: [["{", "{}"], ["{}", ""]])
    func brokenCalls(arguments: [String]) throws {
        var answer = try answer(#""stream": false"#)
        _ = try answer.receive(accepted)
        #expect(throws: HTTPFailure.self) {
            for (index, text) in arguments.enumerated() {
                _ = try answer.receive(calls(piece(UInt32(index), text, id: "c\(index)", name: "a")))
            }
            _ = try answer.receive(finished(.toolCalls))
        }
    }

    @Test func `events that break the contract are a failure, not an end`() throws {
        let call = calls(piece(0, "{}", id: "c", name: "a"))
        let elsewhere = Hearth_V1_ChatEvent.with {
            $0.delta.text = "A"
            $0.choice = 1
        }
        let bad: [[Hearth_V1_ChatEvent]] = [
            [usage], [text("A")], [finished(.stop)], [accepted, accepted], [accepted, queued], [accepted, usage],
            [accepted, elsewhere], [accepted, finished(.stop), text("A")],
            [accepted, finished(.stop), finished(.stop)],
            [accepted, finished(.cancelled)], [accepted, finished(.unspecified)], [accepted, finished(.toolCalls)],
            [accepted, finished(.stop), usage, usage], [accepted, finished(.stop), usage, text("A")],
            [accepted, calls(piece(0, "{}"))], [accepted, calls(piece(0, "{}", id: "c"))],
            [accepted, calls(piece(0, "{}", name: "a"))], [accepted, calls(piece(1, "{}", id: "c", name: "a"))],
            [accepted, call, text("A"), calls(piece(0, "{}"))],
            [accepted, call, calls(piece(1, "{}", id: "d", name: "a")), calls(piece(0, "{}"))],
            [accepted, call, calls(piece(UInt32.max, "{}", id: "d", name: "a"))],
        ]
        for (members, turn) in ["\"stream\": true", "\"stream\": false"].flatMap({ mode in bad.map { (mode, $0) } }) {
            var answer = try answer(members)
            for event in turn.dropLast() { #expect(throws: Never.self) { try answer.receive(event) } }
            let last = try #require(turn.last)
            #expect(throws: HTTPFailure.self, "\(turn)") { try answer.receive(last) }
        }
    }

    @Test func `an event that is not known is passed over`() throws {
        var answer = try answer(streams)
        #expect(try events(&answer, [accepted, Hearth_V1_ChatEvent(), finished(.stop)]) == [begun])
    }

    @Test func `an event of a stream has two lines, whatever the text`() throws {
        var answer = try answer(streams)
        _ = try answer.receive(accepted)
        let text = try answer.receive(text("a\n\r\u{2028}\u{0}"))
        #expect(text.split(separator: "\n").count == 6)
        #expect(text.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0a })
    }

    @Test func `a stream that failed ends with an error, and never with its end`() throws {
        var answer = try answer(streams)
        _ = try events(&answer, [accepted, text("A")])
        #expect(
            answer.failed(HTTPFailure(503, type: "server_error", "gone"))
                == "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                + "\"message\":\"gone\"}}\n\n")
        #expect(!answer.isComplete)
    }

    @Test func `more tokens in the cache than in the prompt are no negative number`() throws {
        var answer = try answer(#""stream": false"#)
        let odd = Hearth_V1_ChatEvent.with { $0.usage.cachedPromptTokens = 3 }
        _ = try events(&answer, [accepted, finished(.stop), odd])
        #expect(answer.object?.text.contains(#""input_tokens":0,"#) == true)
    }
}
