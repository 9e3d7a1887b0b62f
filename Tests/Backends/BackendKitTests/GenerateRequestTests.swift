import InferenceMessages
import SwiftProtobuf
import Testing

@testable import BackendKit

@Suite("GenerateRequest")
struct GenerateRequestTests {
    @Test("every field that a backend reads is decoded")
    func everyField() throws {
        let generated = Hearth_V1_GenerateRequest.with { request in
            request.requestID = "r1"
            request.model = "m"
            request.messages.messages = [
                .with {
                    $0.role = .system
                    $0.content = "kurz"
                },
                .with {
                    $0.role = .assistant
                    $0.content = "grüß dich"
                },
            ]
            request.sampling = .with {
                $0.temperature = 0
                $0.topP = 0.5
                $0.topK = 40
                $0.minP = 0.1
                $0.frequencyPenalty = -1
                $0.presencePenalty = 1
                $0.repetitionPenalty = 1.1
                $0.seed = .max
                $0.penaltyWindow = .max
                $0.typicalP = 0.75
                $0.topNSigma = 2
                $0.xtcProbability = 0.5
                $0.xtcThreshold = 0.25
                $0.dryMultiplier = 0.5
                $0.dryBase = 1.5
                $0.dryAllowedLength = 3
                $0.dryWindow = 0
                $0.drySequenceBreakers.texts = ["\n", "é"]
                $0.logitBias = [
                    .with {
                        $0.tokenID = 70_000
                        $0.bias = -100
                    }, .init(),
                ]
            }
            request.stopping = .with {
                $0.maxTokens = 7
                $0.stop = ["one", "two"]
                $0.stopTokenIds = [1, 70_000]
                $0.ignoreEndOfTurn = true
                $0.minTokens = 6
            }
            request.output.tokenIds = true
            request.output.logprobs = 5
            request.format.grammar = "root ::= \"a\""
            request.maxQueueTime = .init(seconds: 3)
            request.backendOptions = ["a": "1", "b": ""]
        }
        let request = try GenerateRequest(decoding: try generated.serializedBytes())
        #expect(request.requestID == "r1")
        #expect(request.model == "m")
        #expect(
            request.prompt
                == .messages([
                    .init(role: .system, content: "kurz"), .init(role: .assistant, content: "grüß dich"),
                ]))
        #expect(request.sampling.temperature == 0)
        #expect(request.sampling.topP == 0.5)
        #expect(request.sampling.topK == 40)
        #expect(request.sampling.minP == 0.1)
        #expect(request.sampling.frequencyPenalty == -1)
        #expect(request.sampling.presencePenalty == 1)
        #expect(request.sampling.repetitionPenalty == 1.1)
        #expect(request.sampling.seed == .max)
        #expect(request.sampling.penaltyWindow == .max && request.sampling.dryWindow == 0)
        #expect(request.sampling.typicalP == 0.75 && request.sampling.topNSigma == 2)
        #expect(request.sampling.xtcProbability == 0.5 && request.sampling.xtcThreshold == 0.25)
        #expect(request.sampling.dryMultiplier == 0.5 && request.sampling.dryBase == 1.5)
        #expect(request.sampling.dryAllowedLength == 3 && request.sampling.drySequenceBreakers == ["\n", "é"])
        #expect(request.sampling.logitBias == [.init(token: 70_000, bias: -100), .init(token: 0, bias: 0)])
        #expect(request.logprobs == 5 && request.stopping.minTokens == 6)
        #expect(request.stopping.maxTokens == 7)
        #expect(request.stopping.stop == ["one", "two"])
        #expect(request.stopping.stopTokenIDs == [1, 70_000])
        #expect(request.stopping.ignoresEndOfTurn)
        #expect(request.backendOptions == ["a": "1", "b": ""])
        #expect(request.grammar == "root ::= \"a\"" && request.prompt.continued == "grüß dich")
    }

    @Test("a format that is no grammar is refused: what is to be held must not run free")
    func otherFormats() throws {
        let grammar: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.format.grammar = "root ::= \"a\"" }
            .serializedBytes()
        for format in [Hearth_V1_OutputFormat(), .with { $0.json = .init() }, .with { $0.jsonSchema = "{}" }] {
            let bytes: [UInt8] = try Hearth_V1_GenerateRequest.with {
                $0.text = "x"
                $0.format = format
            }.serializedBytes()
            let fault = #expect(throws: EngineFault.self) { try GenerateRequest(decoding: bytes) }
            #expect(fault?.code == .unsupported)
            #expect(try GenerateRequest(decoding: bytes + grammar).grammar == "root ::= \"a\"")
        }
    }

    @Test("messages and tools are decoded; a result without a name has that of its call")
    func tools() throws {
        func decoded(_ change: (inout Hearth_V1_GenerateRequest) -> Void) throws -> GenerateRequest {
            try GenerateRequest(decoding: try Hearth_V1_GenerateRequest.with(change).serializedBytes())
        }
        let request = try decoded {
            $0.messages.messages = [
                .with {
                    $0.role = .user
                    $0.name = "Ada"
                    $0.parts = [.with { $0.text = "grüß " }, .with { $0.text = "dich" }]
                },
                .with {
                    $0.role = .assistant
                    $0.reasoning = "Hm."
                    $0.toolCalls = [
                        .with { ($0.id, $0.name, $0.arguments) = ("a", "get", #"{"x":1}"#) },
                        .with { ($0.id, $0.name) = ("b", "set") },
                    ]
                },
                .with { ($0.role, $0.content, $0.toolCallID) = (.tool, "1", "b") },
                .with { ($0.role, $0.content, $0.toolCallID, $0.name) = (.tool, "2", "a", "mine") },
            ]
            $0.tools.tools = [
                .with { ($0.name, $0.description_p, $0.parameters) = ("get", "Gets.", "{}") },
                .with { $0.name = "set" },
            ]
        }
        var user = GenerateRequest.Message(role: .user, content: "grüß dich")
        user.name = "Ada"
        var assistant = GenerateRequest.Message(role: .assistant, content: "")
        assistant.reasoning = "Hm."
        assistant.toolCalls = [
            .init(id: "a", name: "get", arguments: #"{"x":1}"#), .init(id: "b", name: "set", arguments: "{}"),
        ]
        var results = ["1", "2"].map { GenerateRequest.Message(role: .tool, content: $0) }
        (results[0].toolCallID, results[0].name) = ("b", "set")
        (results[1].toolCallID, results[1].name) = ("a", "mine")
        #expect(request.prompt == .messages([user, assistant] + results))
        #expect(
            request.tools?.tools == [.init(name: "get", description: "Gets.", parameters: "{}"), .init(name: "set")])
        #expect(request.tools?.choice == .auto && request.tools?.parallelCalls == nil)

        #expect(try decoded { $0.text = "x" }.tools == nil)
        let choices: [(Hearth_V1_ToolChoice, String, GenerateRequest.Tools.Choice)] = [
            (.auto, "", .auto), (.none, "", .none), (.required, "", .required(nil)),
            (.required, "get", .required("get")),
        ]
        for (choice, required, expected) in choices {
            let request = try decoded {
                $0.text = "x"
                $0.tools = .with { ($0.choice, $0.requiredTool, $0.parallelCalls) = (choice, required, false) }
            }
            #expect(request.tools?.choice == expected && request.tools?.parallelCalls == false)
        }
    }

    @Test("what is absent stays absent")
    func absent() throws {
        let request = try GenerateRequest(
            decoding: try Hearth_V1_GenerateRequest.with { $0.text = "x" }.serializedBytes())
        #expect(request.sampling == Sampling())
        #expect(request.stopping == Stopping())
        #expect(request.logprobs == nil && request.grammar == nil && request.prompt.continued == nil)
        #expect(request.prompt == .text("x"))
    }

    @Test("no sequence breakers are something else than an empty list")
    func noBreakers() throws {
        let bytes: [UInt8] = try Hearth_V1_GenerateRequest.with {
            $0.text = "x"
            $0.sampling.drySequenceBreakers = .init()
        }.serializedBytes()
        #expect(try GenerateRequest(decoding: bytes).sampling.drySequenceBreakers == [])
    }

    @Test("what holds for a model is told as generated code reads it")
    func defaults() throws {
        var sampling = Sampling()
        #expect(sampling.encodedDefaults.isEmpty)
        (sampling.temperature, sampling.topP, sampling.topK, sampling.minP) = (0, 0.5, 40, 0.125)
        (sampling.frequencyPenalty, sampling.presencePenalty, sampling.repetitionPenalty) = (-1, 1, 1.5)
        (sampling.penaltyWindow, sampling.typicalP, sampling.topNSigma) = (64, 1, 0)
        (sampling.xtcProbability, sampling.xtcThreshold) = (0.5, 0.25)
        (sampling.dryMultiplier, sampling.dryBase, sampling.dryAllowedLength, sampling.dryWindow) = (1, 2, 3, 300)
        sampling.seed = 4
        let read = try Hearth_V1_Sampling(serializedBytes: sampling.encodedDefaults)
        let expected = Hearth_V1_Sampling.with {
            ($0.temperature, $0.topP, $0.topK, $0.minP) = (0, 0.5, 40, 0.125)
            ($0.frequencyPenalty, $0.presencePenalty, $0.repetitionPenalty) = (-1, 1, 1.5)
            ($0.penaltyWindow, $0.typicalP, $0.topNSigma) = (64, 1, 0)
            ($0.xtcProbability, $0.xtcThreshold) = (0.5, 0.25)
            ($0.dryMultiplier, $0.dryBase, $0.dryAllowedLength, $0.dryWindow) = (1, 2, 3, 300)
        }
        #expect(read == expected)
    }

    @Test("a message in two pieces is the merged message, as for generated code")
    func pieces() throws {
        let first = Hearth_V1_GenerateRequest.with {
            $0.tokenIds.ids = [1]
            $0.sampling.topK = 3
            $0.stopping.maxTokens = 9
        }
        let second = Hearth_V1_GenerateRequest.with {
            $0.tokenIds.ids = [2, 3]
            $0.sampling.seed = 4
            $0.stopping.maxTokens = 8
        }
        let bytes: [UInt8] = try first.serializedBytes() + second.serializedBytes()
        let generated = try Hearth_V1_GenerateRequest(serializedBytes: bytes)
        let request = try GenerateRequest(decoding: bytes)
        #expect(request.prompt == .tokenIDs(generated.tokenIds.ids))
        #expect(request.sampling.topK == generated.sampling.topK)
        #expect(request.sampling.seed == generated.sampling.seed)
        #expect(request.stopping.maxTokens == generated.stopping.maxTokens)
    }

    @Test("a request without a prompt and a malformed one are refused with a reason")
    func refused() {
        let cases: [([UInt8], String)] = [
            ([], "no prompt"), ([0x22, 0x05, 0x61], "ends inside a field"), ([0x22, 1, 0xff], "not UTF-8"),
            ([0x1a, 2, 0x0a, 9], "ends inside a field"),
        ]
        for (bytes, part) in cases {
            let fault = #expect(throws: EngineFault.self) { _ = try GenerateRequest(decoding: bytes) }
            #expect(fault?.code == .invalidArgument)
            #expect(fault?.message.contains(part) == true, "\(fault?.message ?? "")")
        }
    }

    @Test("cut anywhere, a request is refused or decoded, never a trap")
    func cutAnywhere() throws {
        let bytes: [UInt8] = try Hearth_V1_GenerateRequest.with {
            $0.messages.messages = [.with { $0.content = "hello" }]
            $0.sampling.temperature = 1
            $0.stopping.stopTokenIds = [1, 2, 3]
            $0.backendOptions = ["key": "value"]
        }.serializedBytes()
        for length in 0..<bytes.count { _ = try? GenerateRequest(decoding: Array(bytes[..<length])) }
    }
}
