import BackendDriver
import BackendIPC
import BackendProgram
import EchoTokens
import InferenceMessages
import SwiftProtobuf
import Testing

@Suite("echo goes on behind tokens of an earlier process")
struct EchoContinuationTests {
    private typealias Request = Hearth_V1_GenerateRequest

    private static func text(_ change: (inout Request) -> Void = { _ in }) -> Request {
        .with {
            $0.text = "once upon a time there was a fox"
            $0.sampling.seed = 11
            $0.stopping.maxTokens = 30
            change(&$0)
        }
    }

    private static func message(_ text: String, _ change: (inout Request) -> Void = { _ in }) -> Request {
        .with {
            $0.messages.messages = [.with { ($0.role, $0.content) = (.user, text) }]
            change(&$0)
        }
    }

    private static let tools = message("get and set it") {
        $0.tools.tools = [.with { $0.name = "get" }, .with { $0.name = "set" }]
        $0.backendOptions["reasoning"] = "2"
    }

    private static let requests: [(String, Request)] = [
        ("plain", text()),
        ("a turn", text { $0.stopping.clearMaxTokens() }),
        ("split scalars", text { $0.backendOptions["split_scalars"] = "1" }),
        (
            "the prompt's words, split",
            text { $0.backendOptions = ["echo": "1", "split_scalars": "1", "end_at": "8"] }
        ),
        ("bursts", text { $0.backendOptions["burst"] = "7" }),
        ("reasoning", message("who are you") { $0.backendOptions["reasoning"] = "20" }),
        ("tool calls", tools),
        ("log-probabilities", text { $0.output.logprobs = 3 }),
        ("a form", text { $0.format.grammar = #"root ::= "[" [a-z]{40} "]""# }),
        (
            "a bias, and the least tokens",
            text {
                $0.sampling.logitBias = [.with { ($0.tokenID, $0.bias) = (42, 100) }]
                $0.stopping.stopTokenIds = [42]
                $0.stopping.minTokens = 20
            }
        ),
    ]

    @Test("what comes in two sequences is what comes in one, wherever it is cut", arguments: requests)
    func same(name: String, request: Hearth_V1_GenerateRequest) throws {
        let echo = try BackendDriver.readyEcho()
        let asked: [UInt8] = try request.serializedBytes()
        try echo.start(0, asked)
        let whole = try echo.finish(0)
        #expect(whole.fault == nil && whole.tokens.count > 7)
        for count in 1..<whole.tokens.count {
            let joined = try echo.completeInTwo(asked, after: count)
            #expect(joined.isSame(as: whole), "after \(count): \(joined.text), and not \(whole.text)")
        }
    }

    @Test("what ended the earlier process does not end the next one")
    func scripted() throws {
        let ids = expectedIDs(0..<20)
        for option in ["crash_at", "hang_at", "silent_at", "malformed_at"] {
            let echo = try BackendDriver.readyEcho()
            try echo.start(0, request(maxTokens: 20, options: [option: "9"]), behind: Array(ids[..<9]))
            #expect(try echo.finish(0).tokens == Array(ids[9...]), "\(option)")
        }
        let echo = try BackendDriver.readyEcho()
        try echo.start(0, request(options: ["fault": "internal", "fault_at": "9"]), behind: Array(ids[..<9]))
        #expect(try echo.finish(0).fault?.code == .internal)
    }

    @Test("tokens that are not its own are refused")
    func foreign() throws {
        let echo = try BackendDriver.readyEcho()
        let ids = expectedIDs(0..<5)
        try echo.start(0, request(maxTokens: 20), behind: ids + [8_191])
        let fault = try #require(try echo.finish(0).fault)
        #expect(fault.code == .invalidArgument)
        #expect(fault.message.hasPrefix("generated_token_ids[5] is 8191, and echo's completion has "))
        try echo.start(0, request(maxTokens: 20, options: ["end_at": "3"]), behind: ids)
        #expect(try echo.finish(0).fault?.message.hasSuffix("has 3 tokens; begin anew") == true)
    }
}
