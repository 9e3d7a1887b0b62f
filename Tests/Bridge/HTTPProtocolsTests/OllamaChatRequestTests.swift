import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct OllamaChatRequestTests {
    private func read(_ messages: String) throws(HTTPFailure) -> [Hearth_V1_Message] {
        try OllamaChatRequest(Array(#"{"model": "m", "messages": [\#(messages)]}"#.utf8)).generate.messages.messages
    }

    private func refusal(_ body: String) -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try OllamaChatRequest(Array(body.utf8))
            return nil
        } catch { return error }
    }

    @Test func `messages of all roles become those of hearth.v1`() throws {
        let messages = try read(
            #"""
            {"role": "system", "content": "Be brief."}, {"role": "User", "content": "What now?", "images": []},
            {"role": "assistant", "content": "", "thinking": "Look.",
              "tool_calls": [{"function": {"name": "look", "arguments": {"at": 1.0, "é": ["\n"]}}}]},
            {"role": "tool", "tool_name": "look", "content": "Nothing."}
            """#)
        #expect(messages.map(\.role) == [.system, .user, .assistant, .tool])
        #expect(messages.map(\.content) == ["Be brief.", "What now?", "", "Nothing."])
        #expect(messages[2].reasoning == "Look.")
        #expect(messages[2].toolCalls.map(\.name) == ["look"])
        #expect(messages[2].toolCalls.map(\.arguments) == [#"{"at":1.0,"é":["\n"]}"#])
        #expect(messages[3].toolCallID == messages[2].toolCalls[0].id)
        #expect(messages[3].name == "look")
    }

    private func call(_ name: String, _ members: String = "") -> String {
        #"{"function": {"name": "\#(name)", "arguments": {}}\#(members)}"#
    }

    private func calling(_ calls: String...) -> String {
        #"{"role": "assistant", "tool_calls": [\#(calls.joined(separator: ", "))]}"#
    }

    private func result(_ members: String = "") -> String { #"{"role": "tool", "content": "1"\#(members)}"# }

    @Test func `calls without ids get some, and results that name no call are those of the calls in order`() throws {
        let messages = try read(
            [
                calling(call("a"), call("b"), call("a")), result(#", "tool_name": "a""#),
                result(#", "tool_name": "a""#), result(), calling(call("a")), result(#", "name": "a""#),
            ].joined(separator: ", "))
        #expect(messages[0].toolCalls.map(\.id) == ["call_0", "call_1", "call_2"])
        #expect(messages[4].toolCalls.map(\.id) == ["call_3"])
        #expect(messages.filter { $0.role == .tool }.map(\.toolCallID) == ["call_0", "call_2", "call_1", "call_3"])
        #expect(messages.filter { $0.role == .tool }.map(\.name) == ["a", "a", "", "a"])
    }

    @Test func `ids that a client sends back are kept`() throws {
        let messages = try read(
            [
                calling(call("a", #", "id": "x", "type": "function""#), call("a", #", "id": "y""#)),
                result(#", "tool_call_id": "y""#), result(#", "tool_name": "a""#),
                result(#", "tool_call_id": "z""#),
            ].joined(separator: ", "))
        #expect(messages[0].toolCalls.map(\.id) == ["x", "y"])
        // The agent refuses the id of no call.
        #expect(messages.dropFirst().map(\.toolCallID) == ["y", "x", "z"])
    }

    @Test func `a result of no call keeps its tool's name`() throws {
        let messages = try read([calling(call("a")), result(#", "tool_name": "b""#)].joined(separator: ", "))
        #expect(messages[1].toolCallID == "")
        #expect(messages[1].name == "b")
        #expect(try read(result()).map(\.toolCallID) == [""])
        // Those of an earlier answer of the model are answered, or never will be.
        let later = try read(
            [calling(call("a")), #"{"role": "assistant", "content": "Hm"}"#, result()].joined(separator: ", "))
        #expect(later[2].toolCallID == "")
    }

    @Test func `calls without arguments have none, and an index changes nothing`() throws {
        let messages = try read(
            #"""
            {"role": "assistant", "content": null, "tool_calls": [
              {"function": {"name": "a"}}, {"function": {"index": 1, "name": "a", "arguments": null}}]}
            """#)
        #expect(messages[0].toolCalls.map(\.arguments) == ["", ""])
    }

    @Test func `tools are passed on as Ollama's client writes them`() throws {
        let body = #"""
            {"model":"m","stream":false,"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function",
            "function":{"name":"add","description":"Add.","parameters":{"type":"object","required":["a"],
            "properties":{"a":{"type":"integer"}}}}}],"think":"low"}
            """#
        let tools = try OllamaChatRequest(Array(body.utf8)).generate.tools
        #expect(tools.tools.map(\.name) == ["add"])
        #expect(tools.tools.map(\.description_p) == ["Add."])
        #expect(
            tools.tools.map(\.parameters)
                == [#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}}"#])
        #expect(tools.choice == .unspecified)
        let none = #"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": []}"#
        #expect(try !OllamaChatRequest(Array(none.utf8)).generate.hasTools)
    }

    @Test(
        "messages that cannot be taken are refused by their path",
        arguments: [
            (#"{"role": "robot", "content": ""}"#, "messages[0].role", "system, user, assistant or tool"),
            (#"{"content": "Hi"}"#, "messages[0].role", "is missing"),
            (#"{"role": "user"}"#, "messages[0].content", "is missing"),
            (#"{"role": "assistant"}"#, "messages[0].content", "is missing"),
            (#"{"role": "user", "content": [{"type": "text"}]}"#, "messages[0].content", "a string"),
            (#"{"role": "user", "content": "", "images": ["aGk="]}"#, "messages[0].images", "messages are text"),
            (#"{"role": "user", "content": "", "colour": "red"}"#, "messages[0].colour", "not supported"),
            (#"{"role": "user", "content": "", "tool_name": "a"}"#, "messages[0].tool_name", "needs the role tool"),
            (#"{"role": "assistant", "thinking": 1}"#, "messages[0].thinking", "a string"),
            (#"{"role": "assistant", "tool_calls": {}}"#, "messages[0].tool_calls", "a list"),
            (#"{"role": "assistant", "tool_calls": [{}]}"#, "messages[0].tool_calls[0].function", "is missing"),
            (
                #"{"role": "assistant", "tool_calls": [{"type": "custom", "function": {"name": "a"}}]}"#,
                "messages[0].tool_calls[0].type", "must be \"function\""
            ),
            (
                #"{"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}"#,
                "messages[0].tool_calls[0].function.name", "is missing"
            ),
            (
                #"{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}"#,
                "messages[0].tool_calls[0].function.arguments", "must be an object"
            ),
            ("1", "messages[0]", "must be an object"),
        ])
    func refusedMessages(message: String, param: String, text: String) throws {
        let failure = try #require(refusal(#"{"model": "m", "messages": [\#(message)]}"#))
        #expect(failure.statusCode == 400)
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }

    @Test(
        "members that it does not have are refused",
        arguments: [
            (#""prompt": "Hi""#, "prompt"), (#""raw": true"#, "raw"), (#""tool_choice": "auto""#, "tool_choice"),
            (#""messages": {}"#, "messages"), (#""tools": {}"#, "tools"), (#""tools": [{}]"#, "tools[0].type"),
        ])
    func refusals(members: String, param: String) throws {
        #expect(try #require(refusal(#"{"model": "m", \#(members)}"#)).param == param)
    }
}
