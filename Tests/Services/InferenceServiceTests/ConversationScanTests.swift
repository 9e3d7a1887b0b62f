import GRPC
import InferenceMessages
import SwiftProtobuf
import Testing

@testable import BackendIPC
@testable import InferenceService

struct ConversationScanTests {
    private typealias Message = Hearth_V1_Message

    private func scanned(
        _ messages: [Hearth_V1_Message], tools: Hearth_V1_ToolUse? = nil, limits: InferenceLimits = .init(),
        stepsAtOnce: Int = .max
    ) throws -> TurnRequest {
        let bytes: [UInt8] = try Hearth_V1_GenerateRequest.with {
            $0.messages.messages = messages
            if let tools { $0.tools = tools }
        }.serializedBytes()
        let outcome = try scan(bytes, .generate(byteCount: bytes.count, limits: limits), stepsAtOnce: stepsAtOnce)
        guard case .generate(let found) = outcome else { throw Status(.unknown, "\(outcome)") }
        #expect(found.bounds == SequenceBounds(request: bytes))
        try RequestValidation.check(found, InferenceLimits())
        return found
    }

    private func refusal(
        _ messages: [Hearth_V1_Message] = [user("Hi")], tools: Hearth_V1_ToolUse? = nil,
        limits: InferenceLimits = .init()
    ) -> String {
        do {
            _ = try scanned(messages, tools: tools, limits: limits)
            return ""
        } catch {
            let status = error as? Status
            #expect(status?.code == .invalidArgument)
            return status?.message ?? "\(error)"
        }
    }

    private static func user(_ text: String) -> Hearth_V1_Message {
        .with {
            $0.role = .user
            $0.content = text
        }
    }

    private static func tool(_ name: String, _ parameters: String = "") -> Hearth_V1_Tool {
        .with {
            $0.name = name
            $0.description_p = "It does something."
            $0.parameters = parameters
        }
    }

    private static func call(_ id: String, _ name: String = "get", _ arguments: String = "{}") -> Hearth_V1_ToolCall {
        .with { ($0.id, $0.name, $0.arguments) = (id, name, arguments) }
    }

    private static func calling(_ calls: [Hearth_V1_ToolCall]) -> Hearth_V1_Message {
        .with {
            $0.role = .assistant
            $0.toolCalls = calls
        }
    }

    private static func result(of id: String) -> Hearth_V1_Message {
        .with {
            $0.role = .tool
            $0.content = "It rains."
            $0.toolCallID = id
        }
    }

    @Test(arguments: [1, 3, 4_096])
    func `a conversation with tools, calls and results is understood in however many pieces`(steps: Int) throws {
        let schema = #"{"type":"object","properties":{"city":{"type":"string","enum":["Zürich"]}}}"#
        let found = try scanned(
            [
                Self.user("Weather?"),
                .with {
                    $0.role = .assistant
                    $0.reasoning = "They want the weather."
                    $0.toolCalls = [Self.call("a", "get", #"{"city":"Zürich"}"#), Self.call("b", "set", "")]
                },
                Self.result(of: "b"), Self.result(of: "a"),
                .with {
                    $0.role = .user
                    $0.name = "Ada"
                    $0.parts = [.with { $0.text = "And " }, .with { $0.text = "now?" }]
                },
            ],
            tools: .with {
                $0.tools = [Self.tool("get", schema), Self.tool("set")]
                $0.choice = .required
                $0.requiredTool = "set"
                $0.parallelCalls = false
            }, stepsAtOnce: steps)
        #expect(found.prompt == .messages(count: 5))
        #expect(found.messageContents == .init(parts: 2, hasToolFields: true))
        #expect(found.tools?.names == ["get", "set"])
        #expect(found.tools?.choice == 3 && found.tools?.requiredTool == "set")
        #expect(found.bounds.toolNames == ["get", "set"])
        #expect(
            CapabilityTable.rows(of: found).map { "\($0.field) \($0.capability)" } == [
                "messages chat", "messages.parts parts", "messages tools", "tools tools",
            ])
    }

    @Test func `no call may come where the choice is none, or there is no tool`() throws {
        for tools: Hearth_V1_ToolUse in [
            .with { ($0.tools, $0.choice) = ([Self.tool("get")], .none) }, .init(),
        ] {
            #expect(try scanned([Self.user("Hi")], tools: tools).bounds.toolNames == [])
        }
        for choice: Hearth_V1_ToolChoice in [.unspecified, .auto, .required] {
            let tools = Hearth_V1_ToolUse.with { ($0.tools, $0.choice) = ([Self.tool("get")], choice) }
            #expect(try scanned([Self.user("Hi")], tools: tools).bounds.toolNames == ["get"])
        }
    }

    @Test func `pictures and sounds are told apart, so that a backend without them never sees the request`() throws {
        func rows(_ part: Hearth_V1_Part) throws -> [String] {
            let found = try scanned([
                .with {
                    $0.role = .user
                    $0.parts = [.with { $0.text = "What is this?" }, part]
                }
            ])
            return CapabilityTable.rows(of: found).map(\.capability)
        }
        #expect(
            try rows(
                .with {
                    $0.image.mediaType = "image/png"
                    $0.image.data = .init(repeating: 0xff, count: 70_000)
                }) == ["chat", "parts", "images"])
        #expect(try rows(.with { $0.audio = .init() }) == ["chat", "parts", "audio"])
    }

    @Test func `what a message may not hold is named`() {
        func expect(_ part: String, _ messages: [Hearth_V1_Message], at location: SourceLocation = #_sourceLocation) {
            let refusal = refusal(messages)
            #expect(refusal.hasPrefix(part), "\(refusal)", sourceLocation: location)
        }
        let called = Self.calling([Self.call("a")])
        expect("messages[0].role is 5; allowed: ROLE_SYSTEM", [.with { $0.role = .UNRECOGNIZED(5) }])
        expect(
            "messages[1].parts stands beside content",
            [
                Self.user("Hi"),
                .with {
                    $0.role = .user
                    $0.content = "a"
                    $0.parts = [.with { $0.text = "b" }]
                },
            ])
        expect(
            "messages[0].parts[1] holds nothing that this host knows",
            [
                .with {
                    $0.role = .user
                    $0.parts = [.with { $0.text = "" }, .init()]
                }
            ])
        expect(
            "messages.parts has more than 256 parts",
            Array(
                repeating: .with {
                    $0.role = .user
                    $0.parts = Array(repeating: .with { $0.text = "" }, count: 129)
                }, count: 2))
        expect(
            "messages[0].name has 129 bytes",
            [
                .with {
                    $0.role = .user
                    $0.name = String(repeating: "x", count: 129)
                }
            ])
        expect(
            "messages[1].tool_call_id is 'b'; allowed: the id of one of the tool_calls", [called, Self.result(of: "b")])
        expect(
            "messages[1].tool_call_id is set; allowed: only in a message of ROLE_TOOL",
            [
                called,
                .with {
                    $0.role = .user
                    $0.toolCallID = "a"
                },
            ])
        expect(
            "messages[0].tool_calls is set; allowed: only in a message of ROLE_ASSISTANT",
            [
                .with {
                    $0.role = .user
                    $0.toolCalls = [Self.call("a")]
                }
            ])
        expect(
            "messages[0].reasoning is set; allowed: only in a message of ROLE_ASSISTANT",
            [
                .with {
                    $0.role = .system
                    $0.reasoning = "Hm."
                }
            ])
        expect("messages[0].tool_calls[0].id is empty", [Self.calling([Self.call("")])])
        expect("messages[1].tool_calls[0].id is 'a', which stands twice", [called, called])
        expect("messages[0].tool_calls[0].name is 'a b'", [Self.calling([Self.call("a", "a b")])])
        expect(
            "messages[0].tool_calls[0].name has 129",
            [Self.calling([Self.call("a", String(repeating: "x", count: 129))])])
        expect(
            "messages[0].tool_calls[1].arguments is no JSON object: '[' stands at byte 0",
            [Self.calling([Self.call("a"), Self.call("b", "get", "[]")])])
        expect(
            "messages[0].tool_calls[0].arguments ends at byte 5 before its JSON object does",
            [Self.calling([Self.call("a", "get", #"{"a":"#)])])
        expect(
            "messages.tool_calls has more than 256 calls",
            [Self.calling((0..<257).map { Self.call("\($0)") })])
    }

    @Test func `what is wrong with a tool is named with the tool`() {
        func expect(
            _ part: String, limits: InferenceLimits = .init(), at location: SourceLocation = #_sourceLocation,
            _ change: (inout Hearth_V1_ToolUse) -> Void
        ) {
            let refusal = refusal(tools: .with(change), limits: limits)
            #expect(refusal.hasPrefix(part), "\(refusal)", sourceLocation: location)
        }
        expect("tools.tools[1].name is ''") { $0.tools = [Self.tool("get"), Self.tool("")] }
        expect("tools.tools[0].name is 'a/b'") { $0.tools = [Self.tool("a/b")] }
        expect("tools.tools[0].name has 1048576 bytes", limits: .with { $0.toolsBytesMax = 2 << 20 }) {
            $0.tools = [.with { $0.name = String(repeating: "x", count: 1 << 20) }]
        }
        expect("tools.tools[1].name is 'get', which stands twice") { $0.tools = [Self.tool("get"), Self.tool("get")] }
        expect("tools.tools has more than 256 tools") { $0.tools = (0..<10_000).map { Self.tool("t\($0)") } }
        expect("tools.tools has more than 1048576 bytes") {
            $0.tools = (0..<3).map { number in
                .with {
                    $0.name = "t\(number)"
                    $0.description_p = String(repeating: "x", count: 400_000)
                }
            }
        }
        expect("tools.tools[1].parameters ('set') is no JSON object: 's' stands at byte 0") {
            $0.tools = [Self.tool("get", "{}"), Self.tool("set", "string")]
        }
        expect("tools.tools[0].parameters ('get') is nested deeper than 64 objects and arrays") {
            $0.tools = [Self.tool("get", String(repeating: #"{"a":"#, count: 10_000))]
        }
        expect("tools.choice is 9; allowed: TOOL_CHOICE_AUTO") { $0.choice = .UNRECOGNIZED(9) }
        expect("tools.choice is TOOL_CHOICE_REQUIRED, and tools.tools is empty") { $0.choice = .required }
        expect("tools.required_tool is set without TOOL_CHOICE_REQUIRED") {
            $0.tools = [Self.tool("get")]
            $0.requiredTool = "get"
        }
        expect("tools.required_tool is 'put'; allowed: the name of one of tools.tools") {
            $0.tools = [Self.tool("get")]
            $0.choice = .required
            $0.requiredTool = "put"
        }
    }

    @Test func `tools go only with a conversation that the model answers`() throws {
        let tools = Hearth_V1_ToolUse.with { $0.tools = [Self.tool("get")] }
        let continued = Hearth_V1_Message.with {
            $0.role = .assistant
            $0.content = "It is"
        }
        #expect(
            refusal([Self.user("Hi"), continued], tools: tools).hasPrefix("tools goes with messages that end with"))
        let bytes: [UInt8] = try Hearth_V1_GenerateRequest.with { ($0.text, $0.tools) = ("Hi", tools) }
            .serializedBytes()
        guard case .generate(let found) = try scan(bytes, .generate(byteCount: bytes.count, limits: .init())) else {
            Issue.record("it is no GenerateRequest")
            return
        }
        #expect {
            try RequestValidation.check(found, InferenceLimits())
        } throws: {
            ($0 as? Status)?.message.hasPrefix("tools goes with another prompt than messages") == true
        }
    }
}

extension InferenceLimits {
    fileprivate static func with(_ change: (inout InferenceLimits) -> Void) -> InferenceLimits {
        var limits = InferenceLimits()
        change(&limits)
        return limits
    }
}
