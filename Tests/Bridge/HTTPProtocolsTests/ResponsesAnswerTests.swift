import Foundation
import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct ResponsesAnswerTests {
    private func answer(_ members: String) throws -> ResponsesAnswer {
        try ResponsesRequest(Array(#"{"model": "m", "input": "Hi", \#(members)}"#.utf8))
            .answer(AnswerStamp(id: "1", created: 5))
    }

    private func delta(_ change: (inout Hearth_V1_Delta) -> Void) -> Hearth_V1_ChatEvent {
        .with { change(&$0.delta) }
    }

    private func said(_ text: String) -> Hearth_V1_ChatEvent { delta { $0.text = text } }
    private func thought(_ text: String, _ tokens: UInt32 = 1) -> Hearth_V1_ChatEvent {
        delta {
            $0.reasoning = text
            $0.tokenCount = tokens
        }
    }
    private func called(_ id: String, _ name: String, _ arguments: String) -> Hearth_V1_ChatEvent {
        delta {
            $0.toolCalls.pieces = [
                .with {
                    $0.id = id
                    $0.name = name
                    $0.arguments = arguments
                }
            ]
        }
    }
    private func finished(_ reason: Hearth_V1_FinishReason) -> Hearth_V1_ChatEvent {
        .with { $0.finished.reason = reason }
    }

    private let accepted = Hearth_V1_ChatEvent.with { $0.accepted.model = "m:4b" }
    private let queued = Hearth_V1_ChatEvent.with { $0.queued.position = 1 }
    private let usage = Hearth_V1_ChatEvent.with {
        $0.usage.promptTokens = 7
        $0.usage.completionTokens = 4
        $0.usage.cachedPromptTokens = 6
        $0.usage.timeToFirstToken = .with {
            $0.seconds = 1
            $0.nanos = 600_000_000
        }
        $0.usage.decodeTime = .with {
            $0.seconds = 2
            $0.nanos = 500_000_000
        }
    }

    /// The events of a stream, each without its number, which must be one more than that of the one before.
    private func events(
        _ answer: inout ResponsesAnswer, _ events: [Hearth_V1_ChatEvent], from first: Int = 0
    ) throws -> [String] {
        var next = first
        return try events.flatMap { event in
            try answer.receive(event).split(separator: "\n\n").map { text in
                if text == "data: [DONE]" { return "[DONE]" }
                let lines = text.split(separator: "\n")
                #expect(lines.count == 2)
                let type = try #require(lines[0].wholeMatch(of: /event: (\S+)/)).1
                let head = #"data: {"type":"\#(type)","sequence_number":\#(next),"#
                #expect(lines[1].hasPrefix(head))
                next += 1
                return "\(type) {" + lines[1].dropFirst(head.count)
            }
        }
    }

    private func response(
        _ status: String, _ output: String = "", _ usage: String = "null", completed: String = "null",
        incomplete: String = "null", error: String = "null", model: String = "m:4b"
    ) -> String {
        #"{"id":"resp_1","object":"response","created_at":5,"completed_at":\#(completed),"status":"\#(status)","#
            + #""incomplete_details":\#(incomplete),"model":"\#(model)","previous_response_id":null,"#
            + #""instructions":null,"output":[\#(output)],"error":\#(error),"tools":[],"tool_choice":"auto","#
            + #""truncation":"disabled","parallel_tool_calls":true,"text":{"format":{"type":"text"}},"top_p":1,"#
            + #""presence_penalty":0,"frequency_penalty":0,"top_logprobs":0,"temperature":1,"#
            + #""reasoning":{"effort":null,"summary":null},"usage":\#(usage),"max_output_tokens":null,"#
            + #""max_tool_calls":null,"store":false,"background":false,"service_tier":"default","metadata":{},"#
            + #""safety_identifier":null,"prompt_cache_key":null}"#
    }

    private func cost(reasoning: Int = 0) -> String {
        #"{"input_tokens":7,"input_tokens_details":{"cached_tokens":6,"cache_write_tokens":0},"output_tokens":4,"#
            + #""output_tokens_details":{"reasoning_tokens":\#(reasoning)},"total_tokens":11}"#
    }

    private func part(_ text: String, _ logprobs: String = "") -> String {
        #"{"type":"output_text","text":"\#(text)","annotations":[],"logprobs":[\#(logprobs)]}"#
    }

    private func message(
        _ text: String?, _ status: String = "completed", index: Int = 0, logprobs: String = ""
    ) -> String {
        #"{"id":"msg_1_\#(index)","type":"message","status":"\#(status)","role":"assistant","content":["#
            + (text.map { part($0, logprobs) } ?? "") + "]}"
    }

    private func reasoning(_ text: String?, _ status: String = "completed", index: Int = 0) -> String {
        #"{"id":"rs_1_\#(index)","type":"reasoning","status":"\#(status)","summary":["#
            + (text.map { #"{"type":"summary_text","text":"\#($0)"}"# } ?? "") + "]}"
    }

    private func call(
        _ arguments: String, _ status: String = "completed", index: Int, _ id: String, _ name: String
    ) -> String {
        #"{"id":"fc_1_\#(index)","type":"function_call","status":"\#(status)","call_id":"\#(id)","name":"\#(name)","#
            + #""arguments":"\#(arguments)"}"#
    }

    private var begun: [String] {
        [
            #"response.created {"response":\#(response("in_progress"))}"#,
            #"response.in_progress {"response":\#(response("in_progress"))}"#,
        ]
    }

    /// The events of a message that comes in these pieces.
    private func events(
        message pieces: [String], index: Int = 0, _ status: String = "completed"
    ) -> [String] {
        let place = #""item_id":"msg_1_\#(index)","output_index":\#(index),"content_index":0"#
        let text = pieces.joined()
        return [
            #"response.output_item.added {"output_index":\#(index),"item":\#(message(nil, "in_progress", index: index))}"#,
            #"response.content_part.added {\#(place),"part":\#(part(""))}"#,
        ] + pieces.map { #"response.output_text.delta {\#(place),"delta":"\#($0)","logprobs":[]}"# } + [
            #"response.output_text.done {\#(place),"text":"\#(text)","logprobs":[]}"#,
            #"response.content_part.done {\#(place),"part":\#(part(text))}"#,
            #"response.output_item.done {"output_index":\#(index),"item":\#(message(text, status, index: index))}"#,
        ]
    }

    private func events(reasoning pieces: [String], index: Int = 0, _ status: String = "completed") -> [String] {
        let place = #""item_id":"rs_1_\#(index)","output_index":\#(index),"summary_index":0"#
        let text = pieces.joined()
        func part(_ text: String) -> String { #""part":{"type":"summary_text","text":"\#(text)"}"# }
        return [
            #"response.output_item.added {"output_index":\#(index),"item":\#(reasoning(nil, "in_progress", index: index))}"#,
            "response.reasoning_summary_part.added {\(place),\(part(""))}",
        ] + pieces.map { #"response.reasoning_summary_text.delta {\#(place),"delta":"\#($0)"}"# } + [
            #"response.reasoning_summary_text.done {\#(place),"text":"\#(text)"}"#,
            "response.reasoning_summary_part.done {\(place),\(part(text))}",
            #"response.output_item.done {"output_index":\#(index),"item":\#(reasoning(text, status, index: index))}"#,
        ]
    }

    private func events(
        call pieces: [String], index: Int, _ id: String, _ name: String, _ status: String = "completed"
    ) -> [String] {
        let place = #""item_id":"fc_1_\#(index)","output_index":\#(index)"#
        let text = pieces.joined()
        let begun = call("", "in_progress", index: index, id, name)
        let ended = call(text, status, index: index, id, name)
        return [#"response.output_item.added {"output_index":\#(index),"item":\#(begun)}"#]
            + pieces.map { #"response.function_call_arguments.delta {\#(place),"delta":"\#($0)"}"# } + [
                #"response.function_call_arguments.done {\#(place),"name":"\#(name)","arguments":"\#(text)"}"#,
                #"response.output_item.done {"output_index":\#(index),"item":\#(ended)}"#,
            ]
    }

    @Test func `a stream of text is a message, and the response behind it`() throws {
        var answer = try answer(#""stream": true"#)
        let sent = try events(
            &answer, [queued, accepted, delta { $0.tokenCount = 1 }, said("A"), said("b"), finished(.stop)])
        #expect(sent == begun + events(message: ["A", "b"]))
        #expect(!answer.isComplete)
        let last = response("completed", message("Ab"), cost(), completed: "9")
        #expect(
            try events(&answer, [usage], from: sent.count) == [#"response.completed {"response":\#(last)}"#, "[DONE]"])
        #expect(answer.isComplete)
        #expect(answer.object == nil)
    }

    @Test func `reasoning, text and calls are items of their own, in their order`() throws {
        var answer = try answer(#""stream": true"#)
        let more = delta { $0.toolCalls.pieces = [.with { $0.arguments = "}" }] }
        let sent = try events(
            &answer,
            [
                accepted, thought("H", 2), thought("m"), said("I look."), called("c1", "look", "{"), more,
                called("c2", "go", ""), finished(.toolCalls), usage,
            ])
        let items = [
            reasoning("Hm"), message("I look.", index: 1), call("{}", index: 2, "c1", "look"),
            call("", index: 3, "c2", "go"),
        ]
        let last = response("completed", items.joined(separator: ","), cost(reasoning: 3), completed: "9")
        #expect(
            sent == begun + events(reasoning: ["H", "m"]) + events(message: ["I look."], index: 1)
                + events(call: ["{", "}"], index: 2, "c1", "look") + events(call: [], index: 3, "c2", "go")
                + [#"response.completed {"response":\#(last)}"#, "[DONE]"])
    }

    @Test func `pieces of several calls may come at once, and text may come behind them`() throws {
        var answer = try answer(#""stream": true"#)
        let calls = delta {
            $0.toolCalls.pieces = [
                .with {
                    $0.id = "c1"
                    $0.name = "look"
                }, .with { $0.arguments = "{}" },
                .with {
                    $0.id = "c2"
                    $0.name = "look"
                    $0.arguments = "{}"
                },
            ]
        }
        let sent = try events(&answer, [accepted, calls, said("Done."), finished(.stop)])
        #expect(
            sent == begun + events(call: ["{}"], index: 0, "c1", "look") + events(call: ["{}"], index: 1, "c2", "look")
                + events(message: ["Done."], index: 2))
    }

    @Test func `an answer that was cut is incomplete, as is its last item`() throws {
        let details = #"{"reason":"max_output_tokens"}"#
        var answer = try answer(#""stream": true"#)
        let sent = try events(&answer, [accepted, thought("Hm"), said("A"), finished(.length), usage])
        let items = reasoning("Hm") + "," + message("A", "incomplete", index: 1)
        let last = response("incomplete", items, cost(reasoning: 1), incomplete: details)
        #expect(
            sent == begun + events(reasoning: ["Hm"]) + events(message: ["A"], index: 1, "incomplete")
                + [#"response.incomplete {"response":\#(last)}"#, "[DONE]"])
        var other = try self.answer(#""stream": true"#)
        let call = try events(&other, [accepted, called("c1", "look", "{"), finished(.length)])
        #expect(call == begun + events(call: ["{"], index: 0, "c1", "look", "incomplete"))
        var silent = try self.answer(#""stream": true"#)
        #expect(try events(&silent, [accepted, finished(.length)]) == begun)
        var thoughtful = try self.answer(#""stream": true"#)
        #expect(
            try events(&thoughtful, [accepted, thought("Hm"), finished(.length)])
                == begun + events(reasoning: ["Hm"], "incomplete"))
    }

    @Test func `a turn that ended without a word has an empty message`() throws {
        var answer = try answer(#""stream": true"#)
        #expect(try events(&answer, [accepted, finished(.stop)]) == begun + events(message: []))
        var thoughtful = try self.answer(#""stream": true"#)
        #expect(
            try events(&thoughtful, [accepted, thought("Hm"), finished(.stop)])
                == begun + events(reasoning: ["Hm"]) + events(message: [], index: 1))
    }

    @Test func `log-probabilities are those of the text, with what was held back of it`() throws {
        func token(_ byte: UInt8) -> Hearth_V1_TokenLogprob {
            .with {
                $0.text = Data([byte])
                $0.logprob = -0.5
                $0.alternatives = [
                    .with {
                        $0.text = Data("z".utf8)
                        $0.logprob = -0.25
                    }
                ]
            }
        }
        func entry(_ byte: Int, _ text: String) -> String {
            #"{"token":"\#(text)","logprob":-0.5,"bytes":[\#(byte)],"#
                + #""top_logprobs":[{"token":"z","logprob":-0.25,"bytes":[122]}]}"#
        }
        let asked = #""include": ["message.output_text.logprobs"], "top_logprobs": 1"#
        var answer = try answer(asked + #", "stream": true"#)
        let sent = try events(
            &answer,
            [
                accepted,
                delta {
                    $0.reasoning = "H"
                    $0.logprobs.tokens = [token(0x48)]
                }, delta { $0.logprobs.tokens = [token(0xc3)] },
                delta {
                    $0.text = "\u{e9}"
                    $0.logprobs.tokens = [token(0xa9)]
                }, delta { $0.logprobs.tokens = [token(0xc3)] }, finished(.stop),
            ])
        let both = entry(0xc3, "\u{fffd}") + "," + entry(0xa9, "\u{fffd}")
        let place = #""item_id":"msg_1_1","output_index":1,"content_index":0"#
        #expect(sent.contains(#"response.output_text.delta {\#(place),"delta":"\#u{e9}","logprobs":[\#(both)]}"#))
        #expect(sent.contains(#"response.output_text.done {\#(place),"text":"\#u{e9}","logprobs":[\#(both)]}"#))
        #expect(sent.contains(#"response.content_part.done {\#(place),"part":\#(part("\u{e9}", both))}"#))
        #expect(
            sent.last == #"response.output_item.done {"output_index":1,"item":"#
                + message("\u{e9}", index: 1, logprobs: both) + "}")
    }

    @Test func `tokens that are held back count for what comes next`() throws {
        var answer = try answer(#""stream": false"#)
        let held = delta { $0.tokenCount = 10 }
        let text = delta {
            $0.text = "A"
            $0.tokenCount = 1
        }
        _ = try events(&answer, [accepted, held, thought("Hm", 2), held, text, finished(.stop), usage])
        let text12 = try #require(answer.object?.text)
        #expect(text12.contains(#""reasoning_tokens":12}"#))
    }

    @Test func `an answer in one object is there once it is whole`() throws {
        var answer = try answer(#""stream": false"#)
        #expect(try events(&answer, [queued, accepted, thought("Hm"), said("A"), said("b\n"), finished(.stop)]) == [])
        #expect(answer.object == nil)
        #expect(try events(&answer, [usage]) == [])
        let items = reasoning("Hm") + "," + message("Ab\\n", index: 1)
        #expect(answer.object?.text == response("completed", items, cost(reasoning: 1), completed: "9"))
    }

    @Test func `an answer that was cut is incomplete in one object, too`() throws {
        var answer = try answer(#""stream": false"#)
        #expect(try events(&answer, [accepted, called("c1", "look", "{"), finished(.length), usage]) == [])
        #expect(
            answer.object?.text
                == response(
                    "incomplete", call("{", "incomplete", index: 0, "c1", "look"), cost(),
                    incomplete: #"{"reason":"max_output_tokens"}"#))
    }

    @Test func `a response repeats what was asked`() throws {
        let schema = #"{"type":"object"}"#
        var answer = try answer(
            #"""
            "instructions": "Be brief.", "temperature": 0.50, "top_p": 0.9, "presence_penalty": 1,
            "frequency_penalty": -1, "max_output_tokens": 9, "metadata": {"a": "b"}, "parallel_tool_calls": false,
            "include": ["message.output_text.logprobs"], "top_logprobs": 2, "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": false},
                      {"type": "function", "name": "go", "description": "d"}],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "go"}]}
            """#)
        #expect(try events(&answer, [accepted, finished(.stop), usage]) == [])
        let text = try #require(answer.object?.text)
        let tools =
            #"[{"type":"function","name":"look","description":null,"parameters":\#(schema),"strict":false},"#
            + #"{"type":"function","name":"go","description":"d","parameters":null,"strict":null}]"#
        let expected = [
            #""instructions":"Be brief.","#, #""temperature":0.50,"#, #""top_p":0.9,"#, #""presence_penalty":1,"#,
            #""frequency_penalty":-1,"#, #""max_output_tokens":9,"#, #""metadata":{"a":"b"},"#,
            #""parallel_tool_calls":false,"#, #""top_logprobs":2,"#, #""reasoning":{"effort":"low","summary":"auto"},"#,
            #""tools":\#(tools),"#,
            #""text":{"format":{"type":"json_schema","name":"n","description":null,"schema":\#(schema),"strict":true}},"#,
            #""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"go"}]},"#,
        ]
        for member in expected { #expect(text.contains(member)) }
        var named = try self.answer(
            #""tools": [{"type": "function", "name": "go"}], "tool_choice": {"type": "function", "name": "go"}"#)
        #expect(try events(&named, [accepted, finished(.stop), usage]) == [])
        #expect(try #require(named.object?.text).contains(#""tool_choice":{"type":"function","name":"go"},"#))
        var object = try self.answer(#""text": {"format": {"type": "json_object"}}, "tool_choice": "none""#)
        #expect(try events(&object, [accepted, finished(.stop), usage]) == [])
        let other = try #require(object.object?.text)
        #expect(
            other.contains(#""text":{"format":{"type":"json_object"}},"#) && other.contains(#""tool_choice":"none","#))
    }

    @Test func `events that break the contract are a failure, not an end`() throws {
        let piece = delta { $0.toolCalls.pieces = [.with { $0.arguments = "{" }] }
        let bad: [[Hearth_V1_ChatEvent]] = [
            [said("A")], [finished(.stop)], [usage], [accepted, usage], [accepted, accepted],
            [accepted, finished(.stop), said("A")], [accepted, finished(.stop), finished(.stop)],
            [accepted, finished(.cancelled)], [accepted, finished(.unspecified)],
            [accepted, finished(.stop), usage, usage], [accepted, finished(.stop), usage, said("A")],
            [accepted, piece], [accepted, called("c", "f", ""), said("A"), piece],
            [
                accepted,
                .with {
                    $0.choice = 1
                    $0.delta.text = "A"
                },
            ],
        ]
        for sequence in bad {
            for streams in [true, false] {
                var answer = try answer(#""stream": \#(streams)"#)
                for event in sequence.dropLast() { _ = try answer.receive(event) }
                let wasComplete = answer.isComplete
                #expect(throws: HTTPFailure.self) { try answer.receive(sequence[sequence.count - 1]) }
                #expect(answer.isComplete == wasComplete)
            }
        }
    }

    @Test func `a stream that failed ends with the error, in both ways that clients read, and never completed`() throws
    {
        var answer = try answer(#""stream": true"#)
        let sent = try events(&answer, [accepted, said("A")])
        let failure = HTTPFailure(503, type: "server_error", code: "unavailable", "The backend was lost.")
        let error =
            #"{"message":"The backend was lost.","type":"server_error","param":null,"code":"unavailable"}"#
        let response = response(
            "failed", message("A", "incomplete"), error: #"{"code":"server_error","message":"The backend was lost."}"#)
        #expect(
            answer.failed(failure)
                == "event: error\n"
                + #"data: {"type":"error","sequence_number":\#(sent.count),"error":\#(error)}"# + "\n\n"
                + "event: response.failed\n"
                + #"data: {"type":"response.failed","sequence_number":\#(sent.count + 1),"response":\#(response)}"#
                + "\n\n")
        #expect(!answer.isComplete)
    }

    @Test func `a stream can fail before it has begun`() throws {
        let answer = try answer(#""stream": true"#)
        let text = answer.failed(.invalid("input", "too long", code: "context_length_exceeded"))
        let error = #"{"code":"invalid_prompt","message":"input: too long"}"#
        #expect(text.contains(#"data: {"type":"error","sequence_number":0,"#))
        #expect(text.contains(response("failed", error: error, model: "m")))
        #expect(
            answer.failed(.init(429, type: "rate_limit_error", "wait")).contains(#"{"code":"rate_limit_exceeded","#))
    }

    @Test func `an event of a stream is one line, whatever the text`() throws {
        var answer = try answer(#""stream": true"#)
        _ = try answer.receive(accepted)
        let text = try answer.receive(said("a\n\r\u{2028}\u{0}"))
        #expect(text.split(separator: "\n\n", omittingEmptySubsequences: false).count == 4)
        #expect(text.replacing("\n", with: "").utf8.allSatisfy { $0 >= 0x20 })
    }

    @Test func `a turn without a token is completed when it left the queue`() throws {
        var answer = try answer(#""stream": false"#)
        let silent = Hearth_V1_ChatEvent.with { $0.usage.queueTime.seconds = 3 }
        _ = try events(&answer, [accepted, finished(.stop), silent])
        #expect(try #require(answer.object?.text).contains(#""completed_at":8,"#))
    }
}
