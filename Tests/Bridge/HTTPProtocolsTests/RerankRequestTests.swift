import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct RerankRequestTests {
    private func read(_ body: String) throws(HTTPFailure) -> RerankRequest { try RerankRequest(Array(body.utf8)) }

    private let ranked = Hearth_V1_RerankResponse.with {
        $0.documents = [
            .with {
                $0.index = 1
                $0.score = 2.5
            }, .with { $0.score = -0.1 },
        ]
        $0.promptTokens = 9
    }

    @Test func `a query and its documents become those of hearth.v1`() throws {
        let request = try read(#"{"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}"#)
        #expect(request.rerank.model == "m")
        #expect(request.rerank.query == "q")
        #expect(request.rerank.documents == ["a", "b"])
        #expect(request.rerank.topN == 1)
        #expect(!request.returnsDocuments)
        #expect(try !read(#"{"query": "q", "documents": ["a"], "user": 1}"#).rerank.hasTopN)
    }

    @Test func `an answer has the best document first, and its text where it was asked for`() throws {
        let request = try read(#"{"model": "m", "query": "q", "documents": ["a", "b"]}"#)
        let rest = #"],"usage":{"prompt_tokens":9,"total_tokens":9}}"#
        #expect(
            try request.object(ranked).text == #"{"object":"list","model":"m","results":["#
                + #"{"index":1,"relevance_score":2.5},{"index":0,"relevance_score":-0.1}"# + rest)
        let other = try read(#"{"model": "m", "query": "q", "documents": ["a", "b"], "return_documents": true}"#)
        #expect(
            try other.object(ranked).text == #"{"object":"list","model":"m","results":["#
                + #"{"index":1,"relevance_score":2.5,"document":{"text":"b"}},"#
                + #"{"index":0,"relevance_score":-0.1,"document":{"text":"a"}}"# + rest)
    }

    @Test func `a document that is not there is a failure`() throws {
        let request = try read(#"{"query": "q", "documents": ["a"]}"#)
        #expect(throws: HTTPFailure.self) { try request.object(ranked) }
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#"{"documents": ["a"]}"#, "query", "is missing"), (#"{"query": "q"}"#, "documents", "is missing"),
            (#"{"query": "q", "documents": "a"}"#, "documents", "a list"),
            (#"{"query": "q", "documents": [1]}"#, "documents[0]", "a string"),
            (#"{"query": "q", "documents": [{}]}"#, "documents[0].text", "is missing"),
            (#"{"query": "q", "documents": [{"text": "a", "id": 1}]}"#, "documents[0].id", "not supported"),
            (#"{"query": "q", "documents": ["a"], "top_n": 0}"#, "top_n", "from 1"),
            (#"{"query": "q", "texts": ["a"]}"#, "texts", "use 'documents'"),
            (#"{"query": "q", "documents": ["a"], "max_tokens_per_doc": 5}"#, "max_tokens_per_doc", "not cut"),
        ])
    func refusals(body: String, param: String, text: String) throws {
        let failure = try #require(throws: HTTPFailure.self) { try read(body) }
        #expect(failure.param == param)
        #expect(failure.message.contains(text))
    }
}
