import HTTPProtocols
import InferenceMessages
import StrictJSON
import Testing

struct MessagesContentTests {
    private func messages(_ messages: String) throws(HTTPFailure) -> [Hearth_V1_Message] {
        let body = #"{"model": "m", "max_tokens": 9, "messages": [\#(messages)]}"#
        return try MessagesRequest(Array(body.utf8)).generate.messages.messages
    }

    private func system(_ system: String) throws -> [String] {
        try MessagesBody.read(#""system": \#(system)"#).messages.messages.filter { $0.role == .system }.map(\.content)
    }

    @Test func `a conversation with tools becomes one of hearth.v1, in order`() throws {
        let conversation = try messages(
            #"""
            {"role": "user", "content": [
              {"type": "text", "text": "What "}, {"type": "text", "text": "now?", "cache_control": {"type": "x"}}]},
            {"role": "assistant", "content": [
              {"type": "thinking", "thinking": "Look.", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
              {"type": "text", "text": "I look.", "citations": null},
              {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1.50, "on": {"é": []}}},
              {"type": "tool_use", "id": "c2", "name": "wait", "input": {}, "caller": {"type": "direct"}}]},
            {"role": "user", "content": [
              {"type": "tool_result", "tool_use_id": "c1", "content": "Nothing."},
              {"type": "text", "text": "Be"}, {"type": "text", "text": " quick."},
              {"type": "tool_result", "tool_use_id": "c2", "is_error": true, "content": [
                {"type": "text", "text": "Too "}, {"type": "text", "text": "late."}]},
              {"type": "tool_result", "tool_use_id": "c2", "is_error": false},
              {"type": "text", "text": "Well?"}]},
            {"role": "system", "content": [{"type": "text", "text": "Stop soon."}]},
            {"role": "assistant", "content": "So"}
            """#)
        #expect(
            conversation.map(\.role)
                == [.user, .assistant, .tool, .user, .tool, .tool, .user, .system, .assistant])
        #expect(
            conversation.map(\.content)
                == [
                    "What now?", "I look.", "Nothing.", "Be quick.", "Error: Too late.", "", "Well?", "Stop soon.",
                    "So",
                ])
        #expect(conversation.map(\.toolCallID) == ["", "", "c1", "", "c2", "c2", "", "", ""])
        #expect(conversation.map(\.reasoning) == ["", "Look.", "", "", "", "", "", "", ""])
        #expect(conversation[1].toolCalls.map(\.id) == ["c1", "c2"])
        #expect(conversation[1].toolCalls.map(\.name) == ["look", "wait"])
        #expect(conversation[1].toolCalls.map(\.arguments) == [#"{"at":1.50,"on":{"é":[]}}"#, "{}"])
    }

    @Test func `an answer without content can be sent back`() throws {
        let message = try #require(try messages(#"{"role": "assistant", "content": []}"#).first)
        #expect(message.role == .assistant && message.content.isEmpty && message.toolCalls.isEmpty)
    }

    @Test func `the system prompt comes first, its texts joined`() throws {
        #expect(try system(#""Be brief.""#) == ["Be brief."])
        #expect(
            try system(#"[{"type": "text", "text": "A"}, {"type": "text", "text": "\nB", "cache_control": {}}]"#)
                == ["A\nB"])
        #expect(try system(#""""#) == [])
        #expect(try system("[]") == [])
        #expect(try MessagesBody.read(#""system": "S""#).messages.messages.map(\.role) == [.system, .user])
    }

    @Test func `a billing header is no part of the system prompt`() throws {
        let header = "x-anthropic-billing-header: cc_version=2; cch=00f1a;"
        #expect(
            try system(#"[{"type": "text", "text": "\#(header)"}, {"type": "text", "text": "You help."}]"#)
                == ["You help."])
        #expect(try system(#"[{"type": "text", "text": "\#(header)"}]"#) == [])
        #expect(try system(#""\#(header)\nYou help.""#) == ["You help."])
        #expect(try system(#""Mind \#(header)""#) == ["Mind \(header)"])
    }

    @Test(
        "messages that cannot be taken are refused by their path",
        arguments: [
            ("1", "messages[0]"), (#"{"role": "robot", "content": ""}"#, "messages[0].role"),
            (#"{"content": "Hi"}"#, "messages[0].role"), (#"{"role": "user"}"#, "messages[0].content"),
            (#"{"role": "user", "content": 1}"#, "messages[0].content"),
            (#"{"role": "user", "content": []}"#, "messages[0].content"),
            (#"{"role": "user", "content": "", "name": "n"}"#, "messages[0].name"),
            (#"{"role": "user", "content": ["Hi"]}"#, "messages[0].content[0]"),
            (#"{"role": "user", "content": [{"text": "Hi"}]}"#, "messages[0].content[0].type"),
            (#"{"role": "user", "content": [{"type": "text", "text": 1}]}"#, "messages[0].content[0].text"),
            (
                #"{"role": "user", "content": [{"type": "text", "text": "a", "colour": 1}]}"#,
                "messages[0].content[0].colour"
            ),
            (
                #"{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "image", "source": {}}]}"#,
                "messages[0].content[1].type"
            ),
            (#"{"role": "user", "content": [{"type": "document"}]}"#, "messages[0].content[0].type"),
            (
                #"{"role": "user", "content": [{"type": "thinking", "thinking": "t"}]}"#, "messages[0].content[0].type"
            ),
            (
                #"{"role": "user", "content": [{"type": "tool_use", "id": "c", "name": "n", "input": {}}]}"#,
                "messages[0].content[0].type"
            ),
            (
                #"{"role": "user", "content": [{"type": "tool_result", "content": "r"}]}"#,
                "messages[0].content[0].tool_use_id"
            ),
            (
                #"{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "is_error": 1}]}"#,
                "messages[0].content[0].is_error"
            ),
            (
                #"{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": 1}]}"#,
                "messages[0].content[0].content"
            ),
            (
                #"{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "image"}]}]}"#,
                "messages[0].content[0].content[0].type"
            ),
            (
                #"{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "c"}]}"#,
                "messages[0].content[0].type"
            ),
            (#"{"role": "assistant", "content": [{"type": "thinking"}]}"#, "messages[0].content[0].thinking"),
            (#"{"role": "assistant", "content": [{"type": "server_tool_use"}]}"#, "messages[0].content[0].type"),
            (
                #"{"role": "assistant", "content": [{"type": "tool_use", "name": "n", "input": {}}]}"#,
                "messages[0].content[0].id"
            ),
            (
                #"{"role": "assistant", "content": [{"type": "tool_use", "id": "c", "input": {}}]}"#,
                "messages[0].content[0].name"
            ),
            (
                #"{"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "n"}]}"#,
                "messages[0].content[0].input"
            ),
            (
                #"{"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "n", "input": "{}"}]}"#,
                "messages[0].content[0].input"
            ),
            (
                #"{"role": "system", "content": [{"type": "tool_result", "tool_use_id": "c"}]}"#,
                "messages[0].content[0].type"
            ),
        ])
    func refusedMessages(message: String, param: String) throws {
        try MessagesBody.expectRefusal(#"{"max_tokens": 9, "messages": [\#(message)]}"#, param, param)
    }

    @Test func `nesting is bounded, and the deepest arguments fit`() {
        func message(_ depth: Int) -> String {
            let text = String(repeating: #"{"a":"#, count: depth - 1) + "{}" + String(repeating: "}", count: depth - 1)
            return
                #"{"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "n", "input": \#(text)}]}"#
        }
        #expect(throws: Never.self) { try messages(message(JSONObjectScan.nestingMax)) }
        #expect(throws: HTTPFailure.self) { try messages(message(100_000)) }
    }
}
