import BackendIPC
import GRPC
import InferenceMessages
import SwiftProtobuf
import Testing

@testable import InferenceService

struct EmbeddingTests {
    private let limits = InferenceLimits()

    private func scanned(
        _ task: Embed.Task, _ message: any Message, stepsAtOnce: Int = .max
    ) throws -> EmbeddingRequest {
        let bytes: [UInt8] = try message.serializedBytes()
        let outcome = try scan(
            bytes, .embedding(task, byteCount: bytes.count, limits: limits), stepsAtOnce: stepsAtOnce)
        guard case .embedding(let found) = outcome else { throw Status(.unknown, "\(outcome)") }
        return found
    }

    private func refusal(_ task: Embed.Task, _ message: any Message) -> String {
        do {
            try scanned(task, message).check()
            return "accepted"
        } catch {
            let status = error as? Status
            #expect(status?.code == .invalidArgument)
            return status?.message ?? "\(error)"
        }
    }

    private let everything = Hearth_V1_EmbedRequest.with {
        $0.model = "m"
        $0.inputs = [
            .with { $0.text = String(repeating: "täxt 日本語 ", count: 300) },
            .with { $0.tokenIds.ids = [1, 300, 70_000] },
            .with { $0.messages.messages = [.with { ($0.role, $0.content) = (.user, "hi") }] },
        ]
        $0.pooling = .last
        $0.normalise = false
        $0.dimensions = 256
        $0.truncate = true
        $0.keepAlive.seconds = 8
        $0.keepAlive.nanos = 1_000_000
    }

    @Test(arguments: [1, 7, .max])
    func `what the agent has to know is read, however many steps there are at once`(steps: Int) throws {
        var wanted = EmbeddingRequest(.embed)
        (wanted.model, wanted.count, wanted.hasMessages, wanted.pooling) = ("m", 3, true, 3)
        (wanted.normalises, wanted.dimensions) = (false, 256)
        wanted.keepAlive = .init(seconds: 8, nanoseconds: 1_000_000)
        let found = try scanned(.embed, everything, stepsAtOnce: steps)
        #expect(found == wanted && found.keepAliveSeconds == 9)
        let ranking = Hearth_V1_RerankRequest.with {
            ($0.model, $0.query, $0.documents, $0.topN) = ("r", "who?", ["a", "b"], 1)
        }
        var ranked = EmbeddingRequest(.rerank)
        (ranked.model, ranked.count, ranked.queryBytes, ranked.topN) = ("r", 2, 4, 1)
        #expect(try scanned(.rerank, ranking, stepsAtOnce: steps) == ranked)
    }

    @Test func `what cannot be is refused with the field, what it holds and what it may hold`() {
        func embed(_ change: (inout Hearth_V1_EmbedRequest) -> Void) -> String {
            var request = everything
            change(&request)
            return refusal(.embed, request)
        }
        #expect(embed { _ in } == "accepted")
        #expect(embed { $0.inputs = [] } == "inputs is empty; allowed: 1 to 1024 inputs")
        for empty in [Hearth_V1_EmbedInput(), .with { $0.text = "" }, .with { $0.tokenIds = .init() }] {
            #expect(
                embed { $0.inputs[1] = empty }
                    == "inputs[1] is empty; allowed: messages, text or token_ids, not empty")
        }
        #expect(
            embed { $0.inputs = Array(repeating: .with { $0.text = "a" }, count: 1_025) }
                == "inputs has more than 1024 inputs; allowed: 1 to 1024")
        #expect(embed { $0.pooling = .UNRECOGNIZED(4) }.hasPrefix("pooling is 4; allowed: POOLING_MEAN"))
        #expect(embed { $0.dimensions = 0 }.hasPrefix("dimensions is 0; allowed: 1 or more"))
        #expect(embed { $0.keepAlive.seconds = -1 }.hasPrefix("keep_alive is negative"))
        #expect(embed { $0.model = String(repeating: "m", count: 257) } == "model has 257 bytes; allowed: at most 256")
        #expect(
            embed { $0.inputs[2].messages.messages[0].role = .unspecified }.hasPrefix("messages[0].role is 0; allowed"))

        func rerank(_ query: String, _ documents: [String], topN: UInt32 = 1) -> String {
            refusal(
                .rerank, Hearth_V1_RerankRequest.with { ($0.query, $0.documents, $0.topN) = (query, documents, topN) })
        }
        #expect(rerank("q", ["d"]) == "accepted")
        #expect(rerank("", ["d"]) == "query is empty; allowed: one byte or more")
        #expect(rerank("q", []) == "documents is empty; allowed: 1 to 1024 documents")
        #expect(rerank("q", ["d", ""]) == "documents[1] is empty; allowed: one byte or more")
        #expect(rerank("q", Array(repeating: "d", count: 1_025)).hasPrefix("documents has more than 1024 documents"))
        #expect(rerank("q", ["d"], topN: 0).hasPrefix("top_n is 0; allowed: 1 or more"))
    }

    @Test func `a message that is none is refused with its name`() {
        for (task, name) in [(Embed.Task.embed, "EmbedRequest"), (.rerank, "RerankRequest")] {
            #expect(throws: (any Error).self) {
                try scan([0x12, 9, 1], .embedding(task, byteCount: 3, limits: limits))
            }
            do {
                _ = try scan([0x12, 9, 1], .embedding(task, byteCount: 3, limits: limits))
            } catch {
                #expect((error as? Status)?.message.contains("hearth.v1.\(name)") == true)
            }
        }
    }

    @Test func `vectors that a model does not make, or too many of them, are refused with the numbers`() {
        func refusal(_ count: Int, _ dimensions: UInt32?, whole: UInt32, shorter: [UInt32] = []) -> String {
            var request = EmbeddingRequest(.embed)
            (request.count, request.dimensions) = (count, dimensions)
            do throws(Status) {
                try request.check(model: "m", dimensions: whole, shorter: shorter)
                return "accepted"
            } catch {
                #expect(error.code == .invalidArgument)
                return error.message
            }
        }
        #expect(refusal(1, nil, whole: 384) == "accepted" && refusal(1, 384, whole: 384) == "accepted")
        #expect(refusal(1, 128, whole: 384, shorter: [128, 256]) == "accepted")
        #expect(
            refusal(1, 129, whole: 384, shorter: [128, 256])
                == "dimensions is 129, which 'm' was not trained for; allowed: 128, 256, 384")
        #expect(refusal(651, nil, whole: 384) == "accepted")
        #expect(refusal(652, nil, whole: 384).hasPrefix("inputs has 652 inputs, whose vectors have 384 numbers each;"))
        #expect(refusal(652, nil, whole: 384).contains("at most 651 inputs"))
    }

    @Test func `vectors are cut and divided by their lengths, and what was cut of the inputs is told`() throws {
        var request = EmbeddingRequest(.embed)
        let answer = Embedded(
            query: 1, values: [3, 4, 12, 0, 0, 0], tokens: [5, 7], leftOutTokens: [0, 2])
        func response() throws -> Hearth_V1_EmbedResponse {
            try Hearth_V1_EmbedResponse(serializedBytes: EmbeddingAnswer.bytes(of: answer, to: request))
        }
        #expect(try response().embeddings.map(\.vector) == [[3 / 13, 4 / 13, 12 / 13], [0, 0, 0]])
        #expect(try response().embeddings.map(\.tokens) == [5, 7] && response().promptTokens == 12)
        #expect(try response().embeddings.map(\.leftOutTokens) == [0, 2])
        request.dimensions = 2
        #expect(try response().embeddings.map(\.vector) == [[0.6, 0.8], [0, 0]])
        request.normalises = false
        #expect(try response().embeddings.map(\.vector) == [[3, 4], [0, 0]])
    }

    @Test
    func `documents come in the order of their scores, those with the same one in their own, as many as asked for`()
        throws
    {
        var request = EmbeddingRequest(.rerank)
        let answer = Embedded(query: 1, values: [-2, 5, 0.5, 5], tokens: [1, 2, 3, 4], leftOutTokens: [0, 0, 9, 0])
        func response() throws -> Hearth_V1_RerankResponse {
            try Hearth_V1_RerankResponse(serializedBytes: EmbeddingAnswer.bytes(of: answer, to: request))
        }
        #expect(try response().documents.map(\.index) == [1, 3, 2, 0])
        #expect(try response().documents.map(\.score) == [5, 5, 0.5, -2])
        #expect(try response().documents.map(\.tokens) == [2, 4, 3, 1] && response().promptTokens == 10)
        #expect(try response().documents.map(\.leftOutTokens) == [0, 0, 9, 0])
        request.topN = 3
        #expect(try response().documents.map(\.index) == [1, 3, 2])
        #expect(try response().promptTokens == 10, "all were computed")
    }

    @Test func `a request needs the capability that it names, and one for a completion a model that makes any`() {
        func refusal(_ request: EmbeddingRequest, _ capabilities: [String]) -> String? {
            do throws(Status) {
                try CapabilityTable.check(CapabilityTable.rows(of: request), capabilities, model: "m")
                return nil
            } catch {
                #expect(error.code == .unimplemented)
                return error.message
            }
        }
        var request = EmbeddingRequest(.embed)
        #expect(refusal(request, ["generate"])?.contains("lacks the capability 'embed'") == true)
        #expect(refusal(request, ["embed"]) == nil)
        request.hasMessages = true
        #expect(refusal(request, ["embed"])?.contains("lacks the capability 'chat'") == true)
        #expect(refusal(EmbeddingRequest(.rerank), ["embed"])?.contains("lacks the capability 'rerank'") == true)
        #expect(throws: Status.self) { try CapabilityTable.check(completion: [], ["embed", "rerank"], model: "m") }
        #expect(throws: Never.self) { try CapabilityTable.check(completion: [], ["embed", "generate"], model: "m") }
    }
}
