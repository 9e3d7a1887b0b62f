import Foundation
import HTTPProtocols
import InferenceMessages
import TestPlaces
import Testing

struct MessagesRequestTests {
    @Test func `the least request has the model, the limit and the message`() throws {
        let request = try MessagesRequest(Array(MessagesBody.text("").utf8))
        #expect(request.generate.model == "m")
        #expect(request.generate.stopping.maxTokens == 9)
        #expect(request.generate.messages.messages.map(\.role) == [.user])
        #expect(request.generate.messages.messages.map(\.content) == ["Hi"])
        #expect(!request.streams)
        #expect(!request.generate.hasSampling && !request.generate.hasTools && !request.generate.hasFormat)
        #expect(request.generate.stopping.stop.isEmpty)
        #expect(try MessagesRequest(Array(MessagesBody.text(#", "stream": true"#).utf8)).streams)
    }

    @Test func `sampling and stops are passed on`() throws {
        let request = try MessagesBody.read(
            #""temperature": 0, "top_p": 0.5, "top_k": 3, "stop_sequences": ["x", "y"]"#)
        #expect(request.sampling.hasTemperature && request.sampling.temperature == 0)
        #expect(request.sampling.topP == 0.5)
        #expect(request.sampling.topK == 3)
        #expect(request.stopping.stop == ["x", "y"])
    }

    @Test func `what is null counts as left out`() throws {
        #expect(
            try MessagesBody.read(
                #""temperature": null, "system": null, "tools": null, "thinking": null, "container": null"#)
                == MessagesBody.read(#""stream": false"#))
    }

    @Test func `fields without effect are accepted`() throws {
        let members = MessagesRequest.withoutEffect.sorted().map { #""\#($0)": {"a": ["b"]}"# }
        #expect(try MessagesBody.read(members.joined(separator: ", ")) == MessagesBody.read(#""stream": false"#))
        #expect(
            try MessagesBody.read(#""output_config": {"effort": "high"}"#) == MessagesBody.read(#""stream": false"#))
    }

    @Test(
        "how long a model reasons is its own decision",
        arguments: [
            #"{"type": "disabled"}"#, #"{"type": "adaptive"}"#, #"{"type": "adaptive", "display": "omitted"}"#,
            #"{"type": "enabled", "budget_tokens": 1024, "display": "summarized"}"#,
        ])
    func thinking(thinking: String) throws {
        #expect(try MessagesBody.read(#""thinking": \#(thinking)"#) == MessagesBody.read(#""stream": false"#))
    }

    @Test func `a form has two places`() throws {
        let form = #"{"type": "json_schema", "schema": {"type": "object", "properties": {"b": {"minimum": 1.50}}}}"#
        let schema = #"{"type":"object","properties":{"b":{"minimum":1.50}}}"#
        #expect(
            try MessagesBody.read(#""output_config": {"effort": "low", "format": \#(form)}"#).format.jsonSchema
                == schema)
        #expect(try MessagesBody.read(#""output_format": \#(form)"#).format.jsonSchema == schema)
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#""temprature": 1"#, "temprature", "did you mean 'temperature'?"),
            (#""seed": 1"#, "seed", "not supported"), (#""temperature": 1.1"#, "temperature", "from 0 to 1"),
            (#""temperature": -0.1"#, "temperature", "from 0 to 1"),
            (#""temperature": "1""#, "temperature", "a number"),
            (#""top_p": []"#, "top_p", "a number"), (#""top_k": -1"#, "top_k", "a whole number"),
            (#""top_k": 1.5"#, "top_k", "a whole number"), (#""stream": 1"#, "stream", "true or false"),
            (#""stop_sequences": "x""#, "stop_sequences", "a list"),
            (#""stop_sequences": ["x", 1]"#, "stop_sequences[1]", "a string"),
            (#""system": 1"#, "system", "a string or a list of blocks"),
            (#""system": [{"type": "image"}]"#, "system[0].type", "must be \"text\""),
            (#""system": [{"type": "text"}]"#, "system[0].text", "is missing"),
            (#""thinking": "adaptive""#, "thinking", "an object"), (#""thinking": {}"#, "thinking.type", "is missing"),
            (#""thinking": {"type": "on"}"#, "thinking.type", "\"enabled\", \"adaptive\" or \"disabled\""),
            (#""thinking": {"type": "adaptive", "display": "full"}"#, "thinking.display", "\"omitted\""),
            (#""thinking": {"type": "adaptive", "depth": 1}"#, "thinking.depth", "not supported"),
            (#""output_config": {"task_budget": {}}"#, "output_config.task_budget", "use 'max_tokens'"),
            (#""output_config": {"style": 1}"#, "output_config.style", "not supported"),
            (#""output_config": {"format": {"type": "xml"}}"#, "output_config.format.type", "\"json_schema\""),
            (#""output_config": {"format": {"schema": {}}}"#, "output_config.format.type", "is missing"),
            (
                #""output_config": {"format": {"type": "json_schema"}}"#, "output_config.format.schema", "is missing"
            ),
            (
                #""output_config": {"format": {"type": "json_schema", "schema": true}}"#, "output_config.format.schema",
                "an object"
            ),
            (#""output_format": {"type": "json_schema", "name": "n"}"#, "output_format.name", "not supported"),
            (#""output_format": {}, "output_config": {"format": {}}"#, "output_format", "leave one out"),
        ])
    func refusals(members: String, param: String, text: String) throws {
        try MessagesBody.expectRefusal(MessagesBody.text(", " + members), param, text)
    }

    @Test(
        "fields that this host does not take have a remedy",
        arguments: MessagesRequest.refused.sorted { $0.key < $1.key })
    func refusedFields(field: String, remedy: String) throws {
        try MessagesBody.expectRefusal(MessagesBody.text(#", "\#(field)": "a""#), field, remedy)
    }

    @Test func `a thread is refused in a way that clients know how to go on from`() throws {
        let failure = try #require(MessagesBody.refusal(MessagesBody.text(#", "thread": {"type": "create"}"#)))
        #expect(failure.param == "thread")
        #expect(
            HTTPDialect.anthropic.body(failure).text
                == #"{"type":"error","error":{"type":"invalid_request_error","message":"\#(failure)","#
                + #""details":{"error_code":"thread_unsupported_request"}}}"#)
    }

    @Test(
        "a request needs its limit, which is a whole number from 1",
        arguments: ["", #""max_tokens": null,"#, #""max_tokens": 0,"#, #""max_tokens": 1.5,"#, #""max_tokens": "9","#])
    func limit(member: String) throws {
        try MessagesBody.expectRefusal(
            #"{\#(member) "messages": [{"role": "user", "content": "Hi"}]}"#, "max_tokens", "max_tokens")
    }

    @Test(
        "what is no request is refused",
        arguments: ["", "[]", "{", #"{"max_tokens": 1, "messages": {}}"#, #"{"max_tokens": 1}"#])
    func noRequest(body: String) throws {
        #expect(try #require(MessagesBody.refusal(body)).statusCode == 400)
    }

    @Test(
        "fields that the agent refuses have the path of the request's own",
        arguments: [
            ("model", "model"), ("sampling.temperature", "temperature"), ("sampling.top_p", "top_p"),
            ("sampling.top_k", "top_k"), ("stopping.max_tokens", "max_tokens"),
            ("stopping.stop[3]", "stop_sequences[3]"), ("tools", "tools"), ("tools.tools", "tools"),
            ("tools.tools[1].name", "tools[1].name"),
            ("tools.tools[1].parameters ('look')", "tools[1].input_schema ('look')"),
            ("tools.choice", "tool_choice"), ("tools.required_tool", "tool_choice.name"),
            ("tools.parallel_calls", "tool_choice.disable_parallel_tool_use"), ("prompt", "messages"),
            ("messages[2].tool_call_id", "messages"), ("messages.tool_calls", "messages"),
            ("format", "output_config.format"), ("format.json_schema", "output_config.format.schema"),
        ])
    func paths(field: String, param: String) { #expect(MessagesRequest.param(field) == param) }

    @Test("a field that a request cannot have has no path", arguments: ["choices", "toolsmith", "sampling.seed"])
    func noPath(field: String) { #expect(MessagesRequest.param(field) == nil) }

    @Test func `Docs/http.md names the fields without effect and those that are refused`() throws {
        let page = try String(contentsOfFile: Repository.root + "/Docs/http.md", encoding: .utf8)
        let section = try #require(page.components(separatedBy: "\n## Anthropic's Messages\n").last)
        /// The names in the first row with this last cell.
        func fields(_ kind: String) -> Set<String> {
            let row = section.split(separator: "\n").first { $0.hasSuffix(" | \(kind) |") } ?? ""
            return Set(
                row.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                    .filter { $0.offset % 2 == 1 }.map { String($0.element) })
        }
        #expect(fields("without effect") == MessagesRequest.withoutEffect)
        #expect(fields("refused") == Set(MessagesRequest.refused.keys))
    }
}
