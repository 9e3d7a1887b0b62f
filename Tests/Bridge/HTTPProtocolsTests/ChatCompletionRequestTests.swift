import HTTPProtocols
import InferenceMessages
import StrictJSON
import SwiftProtobuf
import Testing

struct ChatCompletionRequestTests {
    private func read(_ members: String) throws(HTTPFailure) -> Hearth_V1_GenerateRequest {
        let body = #"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], \#(members)}"#
        return try ChatCompletionRequest(Array(body.utf8)).generate
    }

    private func refusal(_ body: String) -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try ChatCompletionRequest(Array(body.utf8))
            return nil
        } catch { return error }
    }

    private func refusal(of members: String) -> HTTPFailure? {
        refusal(#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], \#(members)}"#)
    }

    @Test func `messages of all roles become those of hearth.v1`() throws {
        let body = #"""
            {"model": "m", "messages": [
              {"role": "developer", "content": "Be brief."},
              {"role": "user", "content": [{"type": "text", "text": "What "}, {"type": "text", "text": "now?"}]},
              {"role": "assistant", "content": null, "reasoning_content": "Look.", "tool_calls": [
                {"id": "c1", "type": "function", "index": 0, "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
              {"role": "tool", "tool_call_id": "c1", "content": "Nothing."}
            ]}
            """#
        let request = try ChatCompletionRequest(Array(body.utf8))
        let messages = request.generate.messages.messages
        #expect(request.generate.model == "m")
        #expect(!request.streams)
        #expect(messages.map(\.role) == [.system, .user, .assistant, .tool])
        #expect(messages.map(\.content) == ["Be brief.", "What now?", "", "Nothing."])
        #expect(messages[2].reasoning == "Look.")
        #expect(messages[2].toolCalls.map(\.name) == ["look"])
        #expect(messages[2].toolCalls.map(\.arguments) == [#"{"at":1}"#])
        #expect(messages[3].toolCallID == "c1")
    }

    @Test func `sampling, stops and logprobs are passed on`() throws {
        let request = try read(
            #"""
            "temperature": 0, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "frequency_penalty": 1, "presence_penalty": -1,
            "repetition_penalty": 1.5, "seed": -1, "logit_bias": {"7": -100}, "stop": "x", "max_tokens": 5,
            "max_completion_tokens": 5, "min_tokens": 2, "logprobs": true, "top_logprobs": 4, "n": 3
            """#)
        #expect(request.sampling.hasTemperature && request.sampling.temperature == 0)
        #expect(request.sampling.topP == 0.5)
        #expect(request.sampling.topK == 3)
        #expect(request.sampling.minP == 0.1)
        #expect(request.sampling.frequencyPenalty == 1)
        #expect(request.sampling.presencePenalty == -1)
        #expect(request.sampling.repetitionPenalty == 1.5)
        #expect(request.sampling.seed == UInt64.max)
        #expect(request.sampling.logitBias.map(\.tokenID) == [7])
        #expect(request.sampling.logitBias.map(\.bias) == [-100])
        #expect(request.stopping.stop == ["x"])
        #expect(request.stopping.maxTokens == 5)
        #expect(request.stopping.minTokens == 2)
        #expect(request.output.logprobs == 4)
        #expect(request.choices == 3)
    }

    @Test func `what is left out or null stays the model's default`() throws {
        let request = try read(#""temperature": null, "stop": null, "tools": null, "n": 1, "logprobs": false"#)
        let plain = try read(#""stream": false"#)
        #expect(request == plain)
        #expect(!request.hasSampling && !request.hasStopping && !request.hasOutput && !request.hasTools)
        #expect(!request.hasFormat && !request.hasChoices)
    }

    @Test func `hints for a cache are accepted wherever clients put them`() throws {
        let body = #"""
            {"model": "m", "messages": [
              {"role": "system", "content": "Be brief.", "cache_control": {"type": "ephemeral"}},
              {"role": "user", "content": [
                {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {}}]}],
             "tools": [{"type": "function", "function": {"name": "look"}, "cache_control": {"type": "ephemeral"}}]}
            """#
        let request = try ChatCompletionRequest(Array(body.utf8)).generate
        #expect(request.messages.messages.map(\.content) == ["Be brief.", "Hi"])
        #expect(request.tools.tools.map(\.name) == ["look"])
    }

    @Test func `fields without effect are accepted`() throws {
        let members = ChatCompletionRequest.withoutEffect.sorted().map { #""\#($0)": {"a": ["b"]}"# }
        #expect(try read(members.joined(separator: ", ")) == read(#""store": false, "reasoning_effort": "low""#))
    }

    @Test func `forms become those of hearth.v1`() throws {
        #expect(try !read(#""response_format": {"type": "text"}"#).hasFormat)
        #expect(try read(#""response_format": {"type": "json_object"}"#).format.kind == .json(Hearth_V1_Json()))
        let held = try read(
            #"""
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true,
              "schema": {"type": "object", "properties": {"b": {"minimum": 1.50}, "a": {"const": "é\n"}}}}}
            """#)
        #expect(
            held.format.jsonSchema
                == #"{"type":"object","properties":{"b":{"minimum":1.50},"a":{"const":"é\n"}}}"#)
    }

    @Test func `tools and the choice among them are passed on`() throws {
        let tools =
            #""tools": [{"type": "function", "function": {"name": "look", "description": "d", "strict": true, "#
            + #""parameters": {"type": "object"}}}]"#
        let request = try read(tools + #", "parallel_tool_calls": false"#)
        #expect(request.tools.tools.map(\.name) == ["look"])
        #expect(request.tools.tools.map(\.parameters) == [#"{"type":"object"}"#])
        #expect(request.tools.hasParallelCalls && !request.tools.parallelCalls)
        #expect(request.tools.choice == .unspecified)
        #expect(try read(tools + #", "tool_choice": "none""#).tools.choice == .none)
        #expect(try read(tools + #", "tool_choice": "required""#).tools.choice == .required)
        let named = try read(tools + #", "tool_choice": {"type": "function", "function": {"name": "look"}}"#).tools
        #expect(named.choice == .required)
        #expect(named.requiredTool == "look")
    }

    @Test func `a stream tells what it cost where it is asked to`() throws {
        let body = #"{"messages": [], "stream": true, "stream_options": {"include_usage": true}}"#
        let request = try ChatCompletionRequest(Array(body.utf8))
        #expect(request.streams && request.includesUsage)
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#""temprature": 1"#, "temprature", "did you mean 'temperature'?"),
            (#""verbosity": "low""#, "verbosity", "not supported"),
            (#""reasoning_effort": 3"#, "reasoning_effort", "a string"),
            (#""functions": []"#, "functions", "use 'tools'"), (#""store": true"#, "store", "nothing is stored"),
            (#""n": 0"#, "n", "from 1 to 16"), (#""n": 17"#, "n", "from 1 to 16"),
            (#""n": 1.5"#, "n", "a whole number"), (#""temperature": "hot""#, "temperature", "a number"),
            (#""temperature": 1e39"#, "temperature", "a number"), (#""stop": [1]"#, "stop", "a list of strings"),
            (#""max_tokens": 4, "max_completion_tokens": 5"#, "max_tokens", "differ"),
            (#""max_tokens": 0"#, "max_tokens", "from 1"), (#""top_logprobs": 1"#, "top_logprobs", "needs 'logprobs'"),
            (#""stream_options": {"include_usage": true}"#, "stream_options", "needs 'stream'"),
            (#""logit_bias": {"cat": 1}"#, "logit_bias", "no token id"),
            (#""modalities": ["audio"]"#, "modalities", "answers are text"),
            (#""response_format": {"type": "xml"}"#, "response_format.type", "json_schema"),
            (#""response_format": {"type": "json_schema"}"#, "response_format.json_schema", "needs a 'schema'"),
            (#""tool_choice": "required""#, "tool_choice", "needs 'tools'"),
            (#""tools": [{"type": "custom"}]"#, "tools[0].type", "must be \"function\""),
            (
                #""tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]"#,
                "tools[0].function.parameters", "must be an object"
            ),
            (
                #""tools": [{"type": "function", "function": {"name": "a", "colour": 1}}]"#, "tools[0].function.colour",
                "not supported"
            ),
        ])
    func refusals(members: String, param: String, text: String) throws {
        let failure = try #require(refusal(of: members))
        #expect(failure.statusCode == 400)
        #expect(failure.type == "invalid_request_error")
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }

    @Test(
        "messages that cannot be taken are refused by their path",
        arguments: [
            (#"{"role": "robot", "content": ""}"#, "messages[0].role"), (#"{"role": "user"}"#, "messages[0].content"),
            (#"{"role": "user", "content": 1}"#, "messages[0].content"), (#"{"content": "Hi"}"#, "messages[0].role"),
            (
                #"{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}"#,
                "messages[0].content[0].image_url"
            ),
            (
                #"{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}]}"#,
                "messages[0].tool_calls[0].function.arguments"
            ),
            (#"{"role": "user", "content": "", "colour": "red"}"#, "messages[0].colour"),
        ])
    func refusedMessages(message: String, param: String) throws {
        #expect(try #require(refusal(#"{"messages": [\#(message)]}"#)).param == param)
    }

    @Test("what is no request is refused", arguments: ["", "[]", "{", #"{"messages": {}}"#, #"{"model": "m"}"#])
    func noRequest(body: String) throws {
        #expect(try #require(refusal(body)).statusCode == 400)
    }

    @Test func `nesting is bounded, and a schema of the deepest kind fits`() {
        func schema(_ depth: Int) -> String {
            let text =
                String(repeating: #"{"not":"#, count: depth - 1) + "{}" + String(repeating: "}", count: depth - 1)
            return #""response_format": {"type": "json_schema", "json_schema": {"schema": \#(text)}}"#
        }
        #expect(refusal(of: schema(JSONObjectScan.nestingMax)) == nil)
        #expect(refusal(of: schema(100_000))?.statusCode == 400)
    }

    @Test(
        "fields that the agent refuses have the path of the request's own",
        arguments: [
            ("sampling.top_p", "top_p"), ("stopping.stop[3]", "stop[3]"), ("tools.tools[1].name", "tools[1].name"),
            ("messages[2].content", "messages[2].content"), ("prompt", "messages"), ("choices", "n"),
            ("format.json_schema", "response_format.json_schema.schema"), ("format", "response_format"),
            ("model", "model"),
        ])
    func paths(field: String, param: String) { #expect(ChatCompletionRequest.param(field) == param) }
}
