import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct ResponsesRequestTests {
    private func read(_ members: String) throws(HTTPFailure) -> Hearth_V1_GenerateRequest {
        try ResponsesRequest(Array(#"{"model": "m", "input": "Hi", \#(members)}"#.utf8)).generate
    }

    private func refusal(_ body: String) -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try ResponsesRequest(Array(body.utf8))
            return nil
        } catch { return error }
    }

    private func messages(_ input: String) throws(HTTPFailure) -> [Hearth_V1_Message] {
        try ResponsesRequest(Array(#"{"model": "m", "input": \#(input)}"#.utf8)).generate.messages.messages
    }

    private let tools =
        #""tools": [{"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "#
        + #""strict": false}, {"type": "function", "name": "go"}]"#

    @Test func `a text is the user's message, behind the instructions`() throws {
        let request = try ResponsesRequest(
            Array(#"{"model": "m", "instructions": "Be brief.", "input": "Hi"}"#.utf8))
        #expect(request.generate.model == "m")
        #expect(request.generate.messages.messages.map(\.role) == [.system, .user])
        #expect(request.generate.messages.messages.map(\.content) == ["Be brief.", "Hi"])
        #expect(!request.streams)
        #expect(try read(#""instructions": """#).messages.messages.count == 1)
    }

    @Test func `messages of all roles and shapes become those of hearth.v1`() throws {
        let messages = try messages(
            #"""
            [{"role": "system", "content": "a"}, {"type": "message", "role": "developer", "content": "b"},
             {"type": "message", "id": "msg_1", "status": "completed", "role": "user", "content": [
               {"type": "input_text", "text": "c"}, {"type": "text", "text": "d"}]},
             {"type": null, "role": "assistant", "phase": "final_answer", "content": [
               {"type": "output_text", "text": "e", "annotations": [], "logprobs": []}]}]
            """#)
        #expect(messages.map(\.role) == [.system, .system, .user, .assistant])
        #expect(messages.map(\.content) == ["a", "b", "cd", "e"])
    }

    @Test func `the items of one turn of the model are one message`() throws {
        let messages = try messages(
            #"""
            [{"role": "user", "content": "Hi"},
             {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]},
             {"type": "message", "role": "assistant", "content": "I look."},
             {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c1", "name": "look",
              "arguments": "{}"},
             {"type": "function_call", "call_id": "c2", "name": "go", "arguments": "{\"a\":1}"},
             {"type": "function_call_output", "call_id": "c1", "output": "Nothing."},
             {"type": "function_call_output", "id": "o", "status": "completed", "call_id": "c2",
              "output": [{"type": "input_text", "text": "Do"}, {"type": "input_text", "text": "ne."}]},
             {"type": "function_call", "call_id": "c3", "name": "go", "arguments": "{}"}]
            """#)
        #expect(messages.map(\.role) == [.user, .assistant, .tool, .tool, .assistant])
        #expect(messages.map(\.content) == ["Hi", "I look.", "Nothing.", "Done.", ""])
        #expect(messages[1].reasoning == "Hm")
        #expect(messages[1].toolCalls.map(\.id) == ["c1", "c2"])
        #expect(messages[1].toolCalls.map(\.name) == ["look", "go"])
        #expect(messages[1].toolCalls.map(\.arguments) == ["{}", #"{"a":1}"#])
        #expect(messages[2].toolCallID == "c1" && messages[3].toolCallID == "c2")
        #expect(messages[4].toolCalls.map(\.id) == ["c3"])
    }

    @Test func `a turn ends where the next thing of its kind begins`() throws {
        let said = #"{"role": "assistant", "content": "a"}"#
        let thought = #"{"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]}"#
        let called = #"{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}"#
        #expect(try messages("[\(said), \(said)]").map(\.content) == ["a", "a"])
        #expect(try messages("[\(said), \(thought), \(said)]").map(\.reasoning) == ["", "t"])
        #expect(try messages("[\(called), \(thought), \(called)]").map(\.toolCalls.count) == [1, 1])
        #expect(try messages("[\(thought), \(thought)]").map(\.reasoning) == ["tt"])
        #expect(try messages("[\(called), \(said)]").map(\.content) == ["a"])
    }

    @Test func `reasoning is taken whole where it is there, and not at all where it is only encrypted`() throws {
        let whole = try messages(
            #"""
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}],
              "content": [{"type": "reasoning_text", "text": "w"}], "encrypted_content": "x"}]
            """#)
        #expect(whole.map(\.reasoning) == ["w"])
        #expect(try messages(#"[{"type": "reasoning", "summary": [], "encrypted_content": "x"}]"#).isEmpty)
        #expect(try messages(#"[{"type": "reasoning", "summary": [], "content": []}]"#).isEmpty)
    }

    @Test func `sampling, stops and logprobs are passed on`() throws {
        let request = try read(
            #"""
            "temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "frequency_penalty": 1, "presence_penalty": -1,
            "repetition_penalty": 1.5, "seed": 7, "logit_bias": {"7": -100}, "stop": "x", "max_output_tokens": 5,
            "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 4
            """#)
        #expect(request.sampling.hasTemperature && request.sampling.temperature == 0)
        #expect(request.sampling.topP == 0.5)
        #expect(request.sampling.topK == 3)
        #expect(request.sampling.minP == 0.1)
        #expect(request.sampling.frequencyPenalty == 1)
        #expect(request.sampling.presencePenalty == -1)
        #expect(request.sampling.repetitionPenalty == 1.5)
        #expect(request.sampling.seed == 7)
        #expect(request.sampling.logitBias.map(\.tokenID) == [7])
        #expect(request.stopping.stop == ["x"])
        #expect(request.stopping.maxTokens == 5)
        #expect(request.output.logprobs == 4)
        let alone = try read(#""include": ["message.output_text.logprobs"]"#)
        #expect(alone.output.hasLogprobs && alone.output.logprobs == 0)
        #expect(!request.hasChoices)
    }

    @Test func `what says what holds anyway changes nothing`() throws {
        let plain = try read(#""stream": false"#)
        let said = try read(
            #"""
            "store": false, "background": false, "truncation": "disabled", "tools": [], "tool_choice": "auto",
            "parallel_tool_calls": true, "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "reasoning": {"effort": "high", "summary": "auto", "generate_summary": null, "context": "auto"},
            "include": ["reasoning.encrypted_content"], "top_logprobs": 0, "temperature": null, "metadata": {"a": "b"},
            "previous_response_id": null, "conversation": null, "prompt": null, "max_tool_calls": null
            """#)
        #expect(said == plain)
        #expect(!plain.hasSampling && !plain.hasStopping && !plain.hasOutput && !plain.hasTools && !plain.hasFormat)
    }

    @Test func `fields without effect are accepted`() throws {
        let members = ResponsesRequest.withoutEffect.sorted().map { #""\#($0)": {"a": ["b"]}"# }
        #expect(try read(members.joined(separator: ", ")) == read(#""stream": false"#))
    }

    @Test func `a request of a coding agent is taken as it comes`() throws {
        let body = #"""
            {"model": "m", "instructions": "You code.", "input": [
               {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Ask first."}]},
               {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
             "tools": [{"type": "function", "name": "shell", "description": "d", "strict": false,
               "parameters": {"type": "object", "properties": {}, "additionalProperties": false}}],
             "tool_choice": "auto", "parallel_tool_calls": false, "reasoning": {"effort": "medium", "summary": "auto"},
             "store": false, "stream": true, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
             "client_metadata": {"id": "i"}}
            """#
        let request = try ResponsesRequest(Array(body.utf8))
        #expect(request.streams)
        #expect(request.generate.messages.messages.map(\.content) == ["You code.", "Ask first.", "Hi"])
        #expect(request.generate.tools.choice == .auto && !request.generate.tools.parallelCalls)
    }

    @Test func `a stream may have options`() throws {
        let body = #"{"input": "a", "stream": true, "stream_options": {"include_obfuscation": false}}"#
        #expect(try ResponsesRequest(Array(body.utf8)).streams)
    }

    @Test func `forms become those of hearth.v1`() throws {
        #expect(try read(#""text": {"format": {"type": "json_object"}}"#).format.kind == .json(Hearth_V1_Json()))
        let held = try read(
            #"""
            "text": {"format": {"type": "json_schema", "name": "n", "description": "d", "strict": true,
              "schema": {"type": "object", "properties": {"b": {"minimum": 1.50}}}}}
            """#)
        #expect(held.format.jsonSchema == #"{"type":"object","properties":{"b":{"minimum":1.50}}}"#)
    }

    @Test func `tools and the choice among them are passed on`() throws {
        let request = try read(tools + #", "parallel_tool_calls": false"#).tools
        #expect(request.tools.map(\.name) == ["look", "go"])
        #expect(request.tools.map(\.description_p) == ["d", ""])
        #expect(request.tools.map(\.parameters) == [#"{"type":"object"}"#, ""])
        #expect(request.hasParallelCalls && !request.parallelCalls)
        #expect(request.choice == .unspecified)
        #expect(try read(tools + #", "tool_choice": "auto""#).tools.choice == .auto)
        #expect(try read(tools + #", "tool_choice": "none""#).tools.choice == .none)
        #expect(try read(tools + #", "tool_choice": "required""#).tools.choice == .required)
        let named = try read(tools + #", "tool_choice": {"type": "function", "name": "go"}"#).tools
        #expect(named.choice == .required && named.requiredTool == "go" && named.tools.count == 2)
    }

    @Test(
        "of allowed tools only those are left",
        arguments: [("auto", Hearth_V1_ToolChoice.auto), ("required", .required), ("none", .none)])
    func allowed(mode: String, choice: Hearth_V1_ToolChoice) throws {
        let left = try read(
            tools + #", "tool_choice": {"type": "allowed_tools", "mode": "\#(mode)", "#
                + #""tools": [{"type": "function", "name": "go"}]}"#
        ).tools
        #expect(left.tools.map(\.name) == ["go"])
        #expect(left.choice == choice)
        #expect(left.requiredTool.isEmpty)
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#""temprature": 1"#, "temprature", "did you mean 'temperature'?"), (#""store": true"#, "store", "stored"),
            (#""background": true, "store": false"#, "store", "stored until"),
            (#""truncation": "auto""#, "truncation", "\"disabled\""),
            (#""previous_response_id": "resp_1""#, "previous_response_id", "send the whole conversation"),
            (#""conversation": "conv_1""#, "conversation", "send the whole conversation"),
            (#""prompt": {"id": "p"}"#, "prompt", "as 'instructions'"),
            (#""max_tool_calls": 1"#, "max_tool_calls", "count the calls"),
            (#""context_management": []"#, "context_management", "shorten it"),
            (#""max_tokens": 5"#, "max_tokens", "use 'max_output_tokens'"),
            (#""response_format": {}"#, "response_format", "use 'text.format'"), (#""n": 2"#, "n", "not supported"),
            (#""max_output_tokens": 0"#, "max_output_tokens", "from 1"),
            (#""instructions": ["a"]"#, "instructions", "must be a string"),
            (#""metadata": "a""#, "metadata", "must be an object"),
            (#""reasoning": {"mode": "pro"}"#, "reasoning.mode", "not supported"),
            (#""reasoning": {"effort": 3}"#, "reasoning.effort", "must be a string"),
            (#""reasoning": "high""#, "reasoning", "must be an object"),
            (#""stream_options": {"include_obfuscation": true}"#, "stream_options", "needs 'stream'"),
            (#""include": ["web_search_call.results"]"#, "include[0]", "\"reasoning.encrypted_content\""),
            (#""include": "message.output_text.logprobs""#, "include", "a list"),
            (#""top_logprobs": 3"#, "top_logprobs", "in 'include'"),
            (#""include": ["message.output_text.logprobs"], "top_logprobs": 21"#, "top_logprobs", "from 0 to 20"),
            (#""text": {"verbosity": "low"}"#, "text.verbosity", "say in the prompt"),
            (#""text": {"format": {}}"#, "text.format.type", "is missing"),
            (#""text": {"format": {"type": "xml"}}"#, "text.format.type", "\"json_schema\""),
            (#""text": {"format": {"type": "json_schema", "name": "n"}}"#, "text.format.schema", "is missing"),
            (#""text": {"format": {"type": "json_schema", "schema": {}}}"#, "text.format.name", "is missing"),
            (#""text": {"format": {"type": "text", "schema": {}}}"#, "text.format.schema", "needs the type"),
            (#""text": {"colour": 1}"#, "text.colour", "not supported"),
            (#""tool_choice": "required""#, "tool_choice", "needs 'tools'"),
            (#""tool_choice": {"type": "function", "name": "a"}"#, "tool_choice", "needs 'tools'"),
            (#""tool_choice": "often""#, "tool_choice", "\"required\""),
            (#""tools": [{"type": "web_search", "external_web_access": false}]"#, "tools[0].type", "\"web_search\""),
            (#""tools": [{"type": "custom", "name": "a"}]"#, "tools[0].type", "must be \"function\""),
            (#""tools": [{"name": "a"}]"#, "tools[0].type", "is missing"),
            (#""tools": [{"type": "function"}]"#, "tools[0].name", "is missing"),
            (#""tools": [{"type": "function", "function": {"name": "a"}}]"#, "tools[0].function", "not supported"),
            (#""tools": [{"type": "function", "name": "a", "parameters": []}]"#, "tools[0].parameters", "an object"),
            (#""tools": [1]"#, "tools[0]", "must be an object"),
        ])
    func refusals(members: String, param: String, text: String) throws {
        let failure = try #require(refusal(#"{"model": "m", "input": "Hi", \#(members)}"#))
        #expect(failure.statusCode == 400)
        #expect(failure.type == "invalid_request_error")
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }

    @Test(
        "choices among the tools that cannot be taken are refused by their path",
        arguments: [
            (#"{"type": "web_search"}"#, "tool_choice"), (#"{"type": "function"}"#, "tool_choice.name"),
            (#"{"type": "function", "function": {"name": "a"}}"#, "tool_choice.function"),
            (#"{"type": "allowed_tools", "tools": []}"#, "tool_choice.mode"),
            (#"{"type": "allowed_tools", "mode": "auto", "tools": []}"#, "tool_choice.tools"),
            (#"{"type": "allowed_tools", "mode": "often", "tools": []}"#, "tool_choice.mode"),
            (
                #"{"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]}"#,
                "tool_choice.tools[0].name"
            ),
            (
                #"{"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}"#,
                "tool_choice.tools[0].type"
            ), ("7", "tool_choice"),
        ])
    func refusedChoices(choice: String, param: String) throws {
        #expect(try #require(refusal(#"{"input": "Hi", \#(tools), "tool_choice": \#(choice)}"#)).param == param)
    }

    @Test(
        "items that cannot be taken are refused by their path",
        arguments: [
            (#"{"type": "item_reference", "id": "msg_1"}"#, "input[0].type", "send the item"),
            (#"{"type": "web_search_call", "id": "ws_1"}"#, "input[0].type", "\"web_search_call\""),
            (#"{"type": 1}"#, "input[0].type", "\"message\""), (#"{"content": "a"}"#, "input[0].role", "is missing"),
            (#"{"role": "user"}"#, "input[0].content", "is missing"),
            (#"{"role": "tool", "content": "a"}"#, "input[0].role", "system, developer"),
            (#"{"role": "user", "content": 1}"#, "input[0].content", "a string or a list"),
            (#"{"role": "user", "content": "a", "colour": 1}"#, "input[0].colour", "not supported"),
            (
                #"{"role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "auto"}]}"#,
                "input[0].content[0].type", "messages are text"
            ),
            (#"{"role": "user", "content": ["a"]}"#, "input[0].content[0].type", "messages are text"),
            (
                #"{"role": "user", "content": [{"type": "input_text"}]}"#, "input[0].content[0].text", "is missing"
            ),
            (#"{"type": "function_call", "name": "a", "arguments": "{}"}"#, "input[0].call_id", "is missing"),
            (#"{"type": "function_call", "call_id": "c", "arguments": "{}"}"#, "input[0].name", "is missing"),
            (#"{"type": "function_call", "call_id": "c", "name": "a"}"#, "input[0].arguments", "is missing"),
            (
                #"{"type": "function_call", "call_id": "c", "name": "a", "arguments": {}}"#, "input[0].arguments",
                "must be a string"
            ),
            (#"{"type": "function_call_output", "call_id": "c"}"#, "input[0].output", "is missing"),
            (#"{"type": "function_call_output", "output": "a"}"#, "input[0].call_id", "is missing"),
            (#"{"type": "reasoning", "summary": 1}"#, "input[0].summary", "a string or a list"), ("1", "input[0]", ""),
        ])
    func refusedItems(item: String, param: String, text: String) throws {
        let failure = try #require(refusal(#"{"input": [\#(item)]}"#))
        #expect(failure.param == param)
        #expect(text.isEmpty || failure.message.contains(text))
    }

    @Test("what is no request is refused", arguments: ["", "[]", "{", #"{"input": {}}"#, #"{"model": "m"}"#])
    func noRequest(body: String) throws { #expect(try #require(refusal(body)).statusCode == 400) }

    @Test(
        "fields that the agent refuses have the path of the request's own",
        arguments: [
            ("messages.messages[2].content", "input"), ("messages", "input"), ("prompt", "input"),
            ("tools.tools[1].name", "tools[1].name"), ("tools.required_tool", "tool_choice"),
            ("tools.parallel_calls", "parallel_tool_calls"), ("format.json_schema", "text.format.schema"),
            ("format", "text.format"), ("output.logprobs", "top_logprobs"),
            ("stopping.max_tokens", "max_output_tokens"), ("stopping.stop[1]", "stop[1]"), ("sampling.top_p", "top_p"),
            ("model", "model"),
        ])
    func paths(field: String, param: String) { #expect(ResponsesRequest.param(field) == param) }
}
