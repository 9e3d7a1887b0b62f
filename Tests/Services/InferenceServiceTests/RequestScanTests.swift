import ByteBuffer
import GRPC
import InferenceMessages
import OutputGrammar
import SwiftProtobuf
import Testing
import WireFormat

@testable import BackendIPC
@testable import InferenceService

/// Reads a whole message, so many steps at a time.
func scan(_ bytes: [UInt8], _ scan: RequestScan, stepsAtOnce: Int = .max) throws -> RequestScan.Outcome {
    var scan = scan
    return try bytes.withUnsafeBytes { memory in
        while true {
            var steps = stepsAtOnce
            if let outcome = try scan.advance(memory, steps: &steps) { return outcome }
            #expect(steps <= 0, "it stops only when its steps are used up")
        }
    }
}

struct RequestScanTests {
    private let limits = InferenceLimits()

    private func scanned(_ request: Hearth_V1_GenerateRequest, stepsAtOnce: Int = .max) throws -> TurnRequest {
        let bytes: [UInt8] = try request.serializedBytes()
        let outcome = try scan(bytes, .generate(byteCount: bytes.count, limits: limits), stepsAtOnce: stepsAtOnce)
        guard case .generate(let found) = outcome else { throw Status(.unknown, "\(outcome)") }
        return found
    }

    private func refusal(chat bytes: [UInt8], limits: InferenceLimits = InferenceLimits()) -> String {
        do {
            _ = try scan(bytes, .chat(byteCount: bytes.count, limits: limits))
            return "accepted"
        } catch {
            let status = error as? Status
            #expect(status?.code == .invalidArgument)
            return status?.message ?? "\(error)"
        }
    }

    private let everything = Hearth_V1_GenerateRequest.with {
        $0.requestID = "mine"
        $0.model = "m"
        $0.messages.messages = [
            .with {
                $0.role = .system
                $0.content = String(repeating: "täxt 日本語 👩‍👩‍👧 ", count: 400)
            },
            .with { $0.role = .user },
        ]
        $0.sampling.temperature = 0.5
        $0.sampling.topP = 0.25
        $0.sampling.topK = 3
        $0.sampling.minP = 0.125
        $0.sampling.frequencyPenalty = -1
        $0.sampling.presencePenalty = 1
        $0.sampling.repetitionPenalty = 2
        $0.sampling.seed = 9
        $0.sampling.penaltyWindow = 10
        $0.sampling.typicalP = 0.75
        $0.sampling.topNSigma = 3
        $0.sampling.xtcProbability = 0.5
        $0.sampling.xtcThreshold = 0.125
        $0.sampling.dryMultiplier = 0.5
        $0.sampling.dryBase = 1.5
        $0.sampling.dryAllowedLength = 4
        $0.sampling.dryWindow = 11
        $0.sampling.drySequenceBreakers.texts = ["\n", "é"]
        $0.sampling.logitBias = [
            .with { $0.tokenID = 300_000 },
            .with {
                $0.tokenID = 2
                $0.bias = -100
            },
        ]
        $0.stopping.maxTokens = 7
        $0.stopping.stop = ["a", "bé"]
        $0.stopping.stopTokenIds = [1, 300_000]
        $0.stopping.ignoreEndOfTurn = true
        $0.stopping.minTokens = 6
        $0.output.tokenIds = true
        $0.output.logprobs = 5
        $0.maxQueueTime.seconds = 3
        $0.maxQueueTime.nanos = 5
        $0.keepAlive.seconds = 8
        $0.keepAlive.nanos = 6
        $0.adapters.adapters = [
            .with { $0.name = "formal" },
            .with {
                $0.name = "terse"
                $0.scale = 0
            },
        ]
        $0.choices = 4
        $0.wantsQueueEvents = true
        $0.resumableFor.seconds = 30
        $0.resumableFor.nanos = 7
        $0.backendOptions = ["key": "value", "a": "b"]
    }

    @Test(arguments: [1, 2, 7, 4_096])
    func `all that the agent has to know is found, in however many pieces`(stepsAtOnce: Int) throws {
        let found = try scanned(everything, stepsAtOnce: stepsAtOnce)
        #expect(
            found
                == TurnRequest(
                    requestID: "mine", model: "m", prompt: .messages(count: 2),
                    sampling: .init(
                        seed: 9, temperature: 0.5, topP: 0.25, minP: 0.125, frequencyPenalty: -1, presencePenalty: 1,
                        repetitionPenalty: 2, penaltyWindow: 10, typicalP: 0.75, topNSigma: 3, xtcProbability: 0.5,
                        xtcThreshold: 0.125, dryMultiplier: 0.5, dryBase: 1.5, dryAllowedLength: 4, dryWindow: 11,
                        sequenceBreakers: 2,
                        logitBias: [.init(tokenID: 300_000, bias: 0), .init(tokenID: 2, bias: -100)]),
                    stopping: .init(
                        maxTokens: 7, stop: ["a", "bé"], stopTokenIDs: [1, 300_000], ignoresEndOfTurn: true,
                        minTokens: 6
                    ),
                    wantsTokenIDs: true, logprobs: 5, queueTime: .init(seconds: 3, nanoseconds: 5),
                    keepAlive: .init(seconds: 8, nanoseconds: 6), wantsQueueEvents: true, choices: 4,
                    resumableFor: .init(seconds: 30, nanoseconds: 7),
                    adapters: [.init(name: "formal"), .init(name: "terse", scale: 0)], optionCount: 2, optionBytes: 10))
    }

    @Test func `no adapters are something else than an empty list, and the pieces of one are merged`() throws {
        #expect(try scanned(.with { $0.text = "x" }).adapters == nil)
        #expect(try scanned(.with { $0.adapters = .init() }).adapters == [])
        let one: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.adapters.adapters = [.with { $0.name = "a" }] }
            .serializedBytes()
        guard case .generate(let found) = try scan(one + one, .generate(byteCount: 2 * one.count, limits: limits))
        else {
            Issue.record("it is no GenerateRequest")
            return
        }
        #expect(found.adapters?.map(\.name) == ["a", "a"])
    }

    @Test func `of several prompts the last one counts`() throws {
        let text: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.text = "text" }.serializedBytes()
        let tokens: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.tokenIds.ids = [1, 2] }.serializedBytes()
        for (bytes, prompt) in [
            (text + tokens, TurnRequest.Prompt.tokenIDs(count: 2)), (tokens + text, .text(byteCount: 4)),
            (tokens + tokens, .tokenIDs(count: 4)), (tokens + text + tokens, .tokenIDs(count: 2)),
        ] {
            guard case .generate(let found) = try scan(bytes, .generate(byteCount: bytes.count, limits: limits)) else {
                Issue.record("it is no GenerateRequest")
                return
            }
            #expect(found.prompt == prompt)
        }
    }

    @Test func `a request that comes in pieces is passed on as one, with a name if it has none`() throws {
        let whole: [UInt8] = try everything.serializedBytes()
        let first: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.model = "other" }.serializedBytes()
        var chat = ByteQueue()
        for piece in [first, whole] {
            chat.encode(byteCount: WireSize.field(1, byteCount: piece.count)) { $0.field(1, bytes: piece) }
        }
        let bytes = Array(chat.bytes)
        var reading = RequestScan.chat(byteCount: bytes.count, limits: limits)
        let encoded = try bytes.withUnsafeBytes { memory in
            var steps = Int.max
            guard case .generate(let request) = try reading.advance(memory, steps: &steps) else { return [UInt8]() }
            #expect(request.model == "m")
            return reading.encoded(memory, requestID: "made-up", grammar: nil)
        }
        #expect(try Hearth_V1_GenerateRequest(serializedBytes: encoded) == everything)
        let nameless: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.text = "t" }.serializedBytes()
        reading = .generate(byteCount: nameless.count, limits: limits)
        let named = try nameless.withUnsafeBytes { memory in
            var steps = Int.max
            _ = try reading.advance(memory, steps: &steps)
            return reading.encoded(memory, requestID: "made-up", grammar: nil)
        }
        let decoded = try Hearth_V1_GenerateRequest(serializedBytes: named)
        #expect(decoded.requestID == "made-up")
        #expect(decoded.text == "t")
    }

    @Test func `of a format the last kind counts, choices are merged, and the backend gets a grammar in its place`()
        throws
    {
        func pieces(_ formats: [Hearth_V1_OutputFormat]) throws -> [UInt8] {
            try formats.flatMap { format -> [UInt8] in
                try Hearth_V1_GenerateRequest.with { $0.format = format }.serializedBytes()
            }
        }
        let choices: [Hearth_V1_OutputFormat] = [
            .with { $0.jsonSchema = "{}" }, .with { $0.choice.texts = ["a"] }, .with { $0.choice.texts = ["b", "c"] },
        ]
        let text: [UInt8] = try Hearth_V1_GenerateRequest.with {
            $0.text = "t"
            $0.model = "m"
        }.serializedBytes()
        let bytes = try pieces([choices[0]]) + text + pieces(Array(choices[1...]))
        var reading = RequestScan.generate(byteCount: bytes.count, limits: limits)
        let encoded = try bytes.withUnsafeBytes { memory in
            var steps = Int.max
            guard case .generate(let request) = try reading.advance(memory, steps: &steps) else { return [UInt8]() }
            #expect(request.format?.kind == .choice(["a", "b", "c"]))
            return reading.encoded(memory, requestID: "r", grammar: "root ::= \"a\"")
        }
        let decoded = try Hearth_V1_GenerateRequest(serializedBytes: encoded)
        #expect(
            decoded
                == .with {
                    $0.text = "t"
                    $0.model = "m"
                    $0.requestID = "r"
                    $0.format.grammar = "root ::= \"a\""
                })
        #expect(try scanned(.with { $0.format = .init() }).format == TurnRequest.Format())
        #expect(try scanned(.with { $0.format.json = .init() }).format?.kind == .json)
        #expect(try scanned(.with { $0.text = "x" }).format == nil)
    }

    @Test func `what a request asks of its end is what its backend reads in it`() throws {
        let piece: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.stopping.stopTokenIds = [9, 10] }.serializedBytes()
        for request in [Hearth_V1_GenerateRequest(), everything] {
            let bytes = piece + (try request.serializedBytes() as [UInt8])
            guard case .generate(let found) = try scan(bytes, .generate(byteCount: bytes.count, limits: limits)) else {
                Issue.record("it is a request")
                return
            }
            #expect(found.bounds == SequenceBounds(request: bytes))
            #expect(found.bounds.stopTokenIDs.starts(with: [9, 10]))
        }
    }

    @Test func `cancel is told from generate, and of both the last one counts`() throws {
        let cancel: [UInt8] = try Hearth_V1_ChatRequest.with { $0.cancel = .init() }.serializedBytes()
        let generate: [UInt8] = try Hearth_V1_ChatRequest.with { $0.generate.text = "t" }.serializedBytes()
        func outcome(_ bytes: [UInt8]) throws -> RequestScan.Outcome {
            try scan(bytes, .chat(byteCount: bytes.count, limits: limits))
        }
        #expect(try outcome(cancel) == .cancel)
        #expect(try outcome(generate + cancel) == .cancel)
        guard case .generate(let found) = try outcome(cancel + generate) else { return #expect(Bool(false)) }
        #expect(found.prompt == .text(byteCount: 1))
        #expect(try outcome([]) == .nothing)
    }

    /// An entry of a few bytes, in a `GenerateRequest` or one of its parts, two million times.
    struct Bomb: Sendable, CustomTestStringConvertible {
        let name: String
        let entry: [UInt8]
        /// The fields of a ChatRequest that the entries lie in, from outside.
        var path: [Int] = [1]
        var refusal: String
        var testDescription: String { name }

        var bytes: [UInt8] {
            let count = (4 << 20) / entry.count * entry.count
            var content = [UInt8](unsafeUninitializedCapacity: count) { memory, filled in
                for index in 0..<count { memory[index] = entry[index % entry.count] }
                filled = count
            }
            for field in path.reversed() {
                var outer = ByteQueue()
                outer.encode(byteCount: WireSize.field(field, byteCount: content.count)) {
                    $0.field(field, bytes: content)
                }
                content = Array(outer.bytes)
            }
            return content
        }
    }

    static let bombs = [
        Bomb(name: "options", entry: [0xa2, 0x06, 0x00], refusal: "backend_options has 65 entries"),
        Bomb(name: "messages", entry: [0x0a, 0x00], path: [1, 3], refusal: "messages[0].role is 0"),
        Bomb(name: "users", entry: [0x0a, 0x02, 0x08, 0x02], path: [1, 3], refusal: "messages has more than 4096"),
        Bomb(name: "stops", entry: [0x12, 0x00], path: [1, 7], refusal: "stopping.stop[0] has 0 bytes"),
        Bomb(
            name: "stop tokens", entry: [0x18, 0x01], path: [1, 7], refusal: "stopping.stop_token_ids has more than 64"),
        Bomb(
            name: "packed stop tokens", entry: [0x01], path: [1, 7, 3],
            refusal: "stopping.stop_token_ids has more than 64"),
        Bomb(
            name: "biases", entry: [0x9a, 0x01, 0x00], path: [1, 6], refusal: "sampling.logit_bias has more than 1024"),
        Bomb(
            name: "breakers", entry: [0x0a, 0x01, 0x61], path: [1, 6, 18],
            refusal: "sampling.dry_sequence_breakers has more than 8"),
        Bomb(name: "packed tokens", entry: [0x01], path: [1, 5, 1], refusal: "token_ids has more than 1048576 ids"),
        Bomb(name: "tokens", entry: [0x08, 0x01], path: [1, 5], refusal: "request has more than 65536 fields"),
        Bomb(name: "roles", entry: [0x08, 0x02], path: [1, 3, 1], refusal: "request has more than 65536 fields"),
        Bomb(
            name: "temperatures", entry: [0x0d, 0, 0, 0, 0], path: [1, 6], refusal: "request has more than 65536 fields"
        ),
        Bomb(name: "unknown fields", entry: [0xf8, 0x07, 0x01], refusal: "request has more than 65536 fields"),
        Bomb(
            name: "unknown messages", entry: [0xfa, 0x07, 0x00], path: [], refusal: "request has more than 65536 fields"
        ),
        Bomb(name: "empty requests", entry: [0x0a, 0x00], path: [], refusal: "request has more than 65536 fields"),
        Bomb(name: "groups", entry: [0xfb, 0x07, 0xfc, 0x07], refusal: "the message is no hearth.v1.ChatRequest"),
    ]

    @Test(arguments: bombs)
    func `what a message may hold is found out before it is read to its end`(bomb: Bomb) throws {
        let bytes = bomb.bytes
        var reading = RequestScan.chat(byteCount: bytes.count, limits: limits)
        var steps = 200_000
        let refused = try #require(throws: Status.self) {
            try bytes.withUnsafeBytes { _ = try reading.advance($0, steps: &steps) }
        }
        #expect(refused.message.hasPrefix(bomb.refusal), "\(refused.message)")
        #expect(refused.code == .invalidArgument)
    }

    @Test func `what is malformed is an INVALID_ARGUMENT that names the message`() throws {
        let whole: [UInt8] = try Hearth_V1_ChatRequest.with { $0.generate = everything }.serializedBytes()
        for cut in stride(from: 1, to: whole.count, by: 13) {
            #expect(refusal(chat: Array(whole[..<cut])).hasPrefix("the message is no hearth.v1.ChatRequest"))
        }
        for wrong: [UInt8] in [[0x00], [0x0a], [0x0a, 0x02, 0x0a], [0x0f], Array(repeating: 0xff, count: 11)] {
            #expect(refusal(chat: wrong).hasPrefix("the message is no hearth.v1.ChatRequest"))
        }
        let notText: [UInt8] = [0x0a, 0x04, 0x22, 0x02, 0x61, 0xff]
        #expect(refusal(chat: notText).contains("UTF-8"))
    }

    @Test func `a long text is checked in pieces, wherever a scalar is cut`() throws {
        for shift in 0..<4 {
            let text = String(repeating: "x", count: shift) + String(repeating: "👍", count: 2_000)
            let found = try scanned(.with { $0.text = text }, stepsAtOnce: 1)
            #expect(found.prompt == .text(byteCount: shift + 8_000))
        }
        var bytes: [UInt8] = try Hearth_V1_GenerateRequest.with { $0.text = String(repeating: "👍", count: 2_000) }
            .serializedBytes()
        bytes[bytes.count - 1] = 0x61
        #expect(throws: Status.self) {
            try scan(bytes, .generate(byteCount: bytes.count, limits: limits), stepsAtOnce: 1)
        }
    }
}
