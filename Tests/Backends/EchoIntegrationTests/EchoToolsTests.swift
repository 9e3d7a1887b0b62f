import BackendDriver
import BackendIPC
import BackendProgram
import EchoTokens
import InferenceMessages
import SwiftProtobuf
import Testing

@Suite("echo and tools")
struct EchoToolsTests {
    private struct Call: Equatable {
        var id: String
        var name: String
        var arguments: String
    }

    /// What echo answers to a message, with two tools.
    private func answer(
        _ text: String, _ choose: (inout Hearth_V1_ToolUse) -> Void = { _ in }, options: [String: String] = [:],
        maxTokens: UInt32? = nil
    ) throws -> (Completion, [Call]) {
        let echo = try BackendDriver.readyEcho()
        let request = Hearth_V1_GenerateRequest.with {
            $0.messages.messages = [.with { ($0.role, $0.content) = (.user, text) }]
            $0.tools.tools = [.with { $0.name = "get" }, .with { $0.name = "set" }]
            choose(&$0.tools)
            if let maxTokens { $0.stopping.maxTokens = maxTokens }
            $0.backendOptions = options
        }
        try echo.start(0, try request.serializedBytes(), credit: 10_000)
        let completion = try echo.finish(0)
        var calls: [Call] = []
        for piece in try Hearth_V1_ToolCallPieces(serializedBytes: completion.toolCallBytes).pieces {
            if piece.index == calls.count { calls.append(Call(id: piece.id, name: piece.name, arguments: "")) }
            calls[Int(piece.index)].arguments += piece.arguments
        }
        return (completion, calls)
    }

    @Test("a tool whose name is a word of the message is called with the message")
    func named() throws {
        let (completion, calls) = try answer("please get \"Zürich\"\n\\")
        #expect(calls.map(\.name) == ["get"] && calls[0].id.utf8.count == 9)
        #expect(calls[0].arguments == #"{"text":"please get \"Zürich\"\u000a\\"}"#)
        #expect(completion.text.isEmpty && completion.reason == .stop && completion.tokens.count > 3)
        let (again, same) = try answer("please get \"Zürich\"\n\\")
        #expect(again.tokens == completion.tokens && same == calls)
    }

    @Test("several are called at once, or one, or one that has to be, or none")
    func choices() throws {
        func names(_ text: String, _ choose: (inout Hearth_V1_ToolUse) -> Void = { _ in }) throws -> [String] {
            try answer(text, choose).1.map(\.name)
        }
        #expect(try names("set it, then get it") == ["get", "set"])
        #expect(try names("set it, then get it") { $0.parallelCalls = false } == ["get"])
        #expect(try names("getting") == [])
        #expect(try names("get it") { $0.choice = .none } == [])
        #expect(try names("nothing") { $0.choice = .required } == ["get"])
        #expect(try names("set it") { $0.choice = .required } == ["set"])
        #expect(try names("get it") { ($0.choice, $0.requiredTool) = (.required, "set") } == ["set"])
        let (text, calls) = try answer("nothing of that")
        #expect(calls.isEmpty && !text.text.isEmpty && text.toolCallBytes.isEmpty)
    }

    @Test("a call may be cut off, and reasoning comes before it")
    func cut() throws {
        let (cut, calls) = try answer("get", maxTokens: 2)
        #expect(cut.reason == .length && calls.map(\.arguments) == ["{\"text\":"])
        let (thought, whole) = try answer("get", options: ["reasoning": "3"])
        #expect(!thought.reasoning.isEmpty && whole.map(\.arguments) == [#"{"text":"get"}"#])
    }
}
