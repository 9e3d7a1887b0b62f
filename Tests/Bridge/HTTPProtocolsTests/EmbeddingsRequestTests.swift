import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct EmbeddingsRequestTests {
    private func read(_ body: String) throws(HTTPFailure) -> EmbeddingsRequest {
        try EmbeddingsRequest(Array(body.utf8))
    }

    private func refusal(_ body: String) -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try read(body)
            return nil
        } catch { return error }
    }

    private func text(_ text: String) -> Hearth_V1_EmbedInput { .with { $0.text = text } }
    private func ids(_ ids: [UInt32]) -> Hearth_V1_EmbedInput { .with { $0.tokenIds.ids = ids } }

    @Test func `inputs of all kinds become those of hearth.v1`() throws {
        #expect(try read(#"{"input": "a"}"#).embed.inputs == [text("a")])
        #expect(try read(#"{"input": ["a", "b"]}"#).embed.inputs == [text("a"), text("b")])
        #expect(try read(#"{"input": [1, 2]}"#).embed.inputs == [ids([1, 2])])
        #expect(try read(#"{"input": [[1, 2], [3]]}"#).embed.inputs == [ids([1, 2]), ids([3])])
    }

    @Test func `the other fields are passed on, and those without effect are accepted`() throws {
        let request = try read(#"{"model": "m", "input": "a", "dimensions": 4, "encoding_format": "base64"}"#)
        #expect(request.embed.model == "m")
        #expect(request.embed.dimensions == 4)
        #expect(request.inBase64)
        let plain = try read(#"{"input": "a", "encoding_format": "float", "dimensions": null}"#)
        #expect(!plain.inBase64 && !plain.embed.hasDimensions)
        let members = EmbeddingsRequest.withoutEffect.sorted().map { #""\#($0)": {"a": ["b"]}"# }
        #expect(try read(#"{"input": "a", \#(members.joined(separator: ", "))}"#) == plain)
    }

    private func response(_ vectors: [[Float]]) -> Hearth_V1_EmbedResponse {
        .with {
            $0.embeddings = vectors.map { vector in .with { $0.vector = vector } }
            $0.promptTokens = 3
        }
    }

    @Test func `an answer has the vectors in order, with the shortest digits`() throws {
        let request = try read(#"{"model": "m", "input": ["a", "b"]}"#)
        #expect(
            try request.object(response([[0.1, -1], [1e-7, 3.4e38]])).text
                == #"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-1.0]},"#
                + #"{"object":"embedding","index":1,"embedding":[1e-07,3.4e+38]}],"model":"m","#
                + #""usage":{"prompt_tokens":3,"total_tokens":3}}"#)
    }

    @Test(
        "base64 has the numbers' bytes, the least significant first, and is padded",
        arguments: [
            ([Float(1)], "AACAPw=="), ([1, -2], "AACAPwAAAMA="), ([1, -2, 0.5], "AACAPwAAAMAAAAA/"), ([], ""),
        ])
    func base64(vector: [Float], expected: String) throws {
        let request = try read(#"{"model": "m", "input": "a", "encoding_format": "base64"}"#)
        #expect(try request.object(response([vector])).text.contains(#""embedding":"\#(expected)"}"#))
    }

    @Test func `an answer with another number of vectors is a failure`() throws {
        let request = try read(#"{"model": "m", "input": ["a", "b"]}"#)
        for count in [0, 1, 3] {
            #expect(throws: HTTPFailure.self) { try request.object(response(Array(repeating: [1], count: count))) }
        }
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#"{}"#, "input", "is missing"), (#"{"input": []}"#, "input", "not be empty"),
            (#"{"input": {}}"#, "input", "must be a string"), (#"{"input": ["a", []]}"#, "input[1]", "not be empty"),
            (#"{"input": [[1.5]]}"#, "input[0][0]", "a token id"),
            (#"{"input": "a", "dimensions": 0}"#, "dimensions", "from 1"),
            (#"{"input": "a", "encoding_format": "int8"}"#, "encoding_format", "\"base64\""),
            (#"{"input": "a", "inputs": "b"}"#, "inputs", "did you mean 'input'?"),
        ])
    func refusals(body: String, param: String, text: String) throws {
        let failure = try #require(refusal(body))
        #expect(failure.statusCode == 400)
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }

    @Test(
        "fields that the agent refuses have the path of the request's own",
        arguments: [
            ("inputs", "input"), ("inputs[2].text", "input[2]"), ("dimensions", "dimensions"), ("model", "model"),
        ])
    func paths(field: String, param: String) { #expect(EmbeddingsRequest.param(field) == param) }
}
