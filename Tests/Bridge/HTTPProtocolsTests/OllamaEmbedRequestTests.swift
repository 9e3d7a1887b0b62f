import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct OllamaEmbedRequestTests {
    private func embed(_ members: String) throws(HTTPFailure) -> OllamaEmbedRequest {
        try OllamaEmbedRequest(Array(#"{"model": "m:latest"\#(members)}"#.utf8), .embed)
    }

    private func embeddings(_ members: String) throws(HTTPFailure) -> OllamaEmbedRequest {
        try OllamaEmbedRequest(Array(#"{"model": "m"\#(members)}"#.utf8), .embeddings)
    }

    private func response(_ vectors: [[Float]]) -> Hearth_V1_EmbedResponse {
        .with {
            $0.embeddings = vectors.map { vector in .with { $0.vector = vector } }
            $0.promptTokens = 5
        }
    }

    @Test func `one text or several become inputs, which are cut unless they must not be`() throws {
        let one = try embed(#", "input": "a""#).embed
        #expect(one.model == "m")
        #expect(one.inputs.map(\.input) == [.text("a")])
        #expect(one.truncate)
        #expect(!one.hasNormalise && !one.hasDimensions && !one.hasKeepAlive)
        let two = try embed(
            #", "input": ["a", ""], "truncate": false, "dimensions": 3, "keep_alive": "5m", "options": {"num_ctx": 8}"#
        ).embed
        #expect(two.inputs.map(\.input) == [.text("a"), .text("")])
        #expect(!two.truncate)
        #expect(two.dimensions == 3)
        #expect(two.keepAlive.seconds == 300)
        #expect(try !embed(#", "input": "a", "dimensions": 0"#).embed.hasDimensions)
    }

    @Test func `the older request is one text, whose vector stays as it is and which is not cut`() throws {
        let request = try embeddings(#", "prompt": "a", "keep_alive": 0"#)
        #expect(request.embed.inputs.map(\.input) == [.text("a")])
        #expect(request.embed.hasNormalise && !request.embed.normalise)
        #expect(!request.embed.truncate)
        #expect(request.embed.hasKeepAlive)
        #expect(request.meaning == .turn)
    }

    @Test func `options are accepted, as far as they are known`() throws {
        let options = OllamaOptions.withoutEffect.union(["temperature", "seed", "stop", "num_predict"]).sorted()
        let members = #", "options": {\#(options.map { #""\#($0)": ["a"]"# }.joined(separator: ", "))}"#
        #expect(try embed(#", "input": "a""# + members) == embed(#", "input": "a""#))
        #expect(try embeddings(#", "prompt": "a""# + members) == embeddings(#", "prompt": "a""#))
    }

    @Test func `the answer has the vectors with the digits that they need`() throws {
        let two = try embed(#", "input": ["a", "b"]"#)
        #expect(
            try two.object(response([[0.1, -1], [1e-7, 0]])).text
                == #"{"model":"m","embeddings":[[0.1,-1.0],[1e-07,0.0]],"prompt_eval_count":5}"#)
        #expect(
            try embeddings(#", "prompt": "a""#).object(response([[0.25, .infinity]])).text
                == #"{"embedding":[0.25,null]}"#)
    }

    @Test(
        "a request without a text is about the model alone",
        arguments: [("", OllamaMeaning.load), (#", "keep_alive": "1h""#, .load), (#", "keep_alive": 0"#, .unload)])
    func meanings(members: String, meaning: OllamaMeaning) throws {
        for text in ["", #", "input": """#, #", "input": []"#, #", "input": null"#] {
            let request = try embed(text + members)
            #expect(request.meaning == meaning)
            #expect(
                try request.object(Hearth_V1_EmbedResponse()).text
                    == #"{"model":"m","embeddings":[],"prompt_eval_count":0}"#)
        }
        for text in ["", #", "prompt": """#] {
            let request = try embeddings(text + members)
            #expect(request.meaning == meaning)
            #expect(try request.object(Hearth_V1_EmbedResponse()).text == #"{"embedding":[]}"#)
        }
    }

    @Test func `an answer with a vector too few or too many is a failure`() throws {
        let request = try embed(#", "input": ["a", "b"]"#)
        for vectors: [[Float]] in [[], [[1]], [[1], [1], [1]]] {
            let failure = #expect(throws: HTTPFailure.self) { try request.object(response(vectors)) }
            #expect(failure?.statusCode == 502)
        }
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#", "input": 1"#, "input", OllamaEmbedRequest.Kind.embed), (#", "input": [1]"#, "input", .embed),
            (#", "input": "a", "truncate": 1"#, "truncate", .embed),
            (#", "input": "a", "dimensions": -1"#, "dimensions", .embed),
            (#", "input": "a", "keep_alive": "x""#, "keep_alive", .embed),
            (#", "input": "a", "options": {"colour": 1}"#, "options.colour", .embed),
            (#", "input": "a", "options": {"mirostat": 1}"#, "options.mirostat", .embed),
            (#", "prompt": "a""#, "prompt", .embed), (#", "input": "a""#, "input", .embeddings),
            (#", "prompt": ["a"]"#, "prompt", .embeddings),
            (#", "prompt": "a", "truncate": true"#, "truncate", .embeddings),
        ])
    func refusals(members: String, param: String, kind: OllamaEmbedRequest.Kind) {
        let failure = #expect(throws: HTTPFailure.self) {
            try OllamaEmbedRequest(Array(#"{"model": "m"\#(members)}"#.utf8), kind)
        }
        #expect(failure?.statusCode == 400)
        #expect(failure?.param == param)
    }

    @Test func `fields that the agent refuses have the path of the request's own`() throws {
        let (new, old) = try (embed(#", "input": ["a"]"#), embeddings(#", "prompt": "a""#))
        #expect(new.param("inputs[3]") == "input[3]")
        #expect(new.param("dimensions") == "dimensions")
        #expect(old.param("inputs") == "prompt")
        #expect(old.param("keep_alive") == "keep_alive")
    }
}
