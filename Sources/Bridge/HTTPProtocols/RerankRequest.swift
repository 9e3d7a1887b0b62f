package import InferenceMessages
internal import StrictJSON

/// A request of `/v1/rerank` as Jina's and Cohere's services have it, in the terms of hearth.v1, and what makes its
/// answer.
package struct RerankRequest: Equatable, Sendable {
    package var rerank: Hearth_V1_RerankRequest
    /// Whether the answer repeats the documents.
    package var returnsDocuments: Bool

    /// Fields that change nothing in the answer, and are accepted with any value.
    package static let withoutEffect: Set<String> = ["user"]

    private static let refused: [String: String] = [
        "max_chunks_per_doc": "send the parts of a document as documents",
        "max_tokens_per_doc": "documents are not cut: send shorter ones",
        "rank_fields": "send the text that counts as the document", "texts": "use 'documents'",
    ]

    /// Reads the body. Throws 400 with the path of the field that is wrong, or that this host does not take.
    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: ["documents", "model", "query", "return_documents", "top_n"],
            withoutEffect: Self.withoutEffect, refused: Self.refused)
        rerank = Hearth_V1_RerankRequest()
        rerank.model = try request.string("model") ?? ""
        rerank.query = try request.required("query")
        guard let documents = try request.list("documents") else { throw request.failure("documents", "is missing") }
        for (index, node) in documents.enumerated() {
            let path = "documents[\(index)]"
            switch node.value {
            case .string(let text): rerank.documents.append(text)
            case .object: rerank.documents.append(try RequestObject(node, at: path, known: ["text"]).required("text"))
            default: throw .invalid(path, "'\(path)' must be a string, or an object with a 'text', not \(node.found)")
            }
        }
        if let most: UInt32 = try request.integer("top_n", 1...UInt32.max) { rerank.topN = most }
        returnsDocuments = try request.bool("return_documents") ?? false
    }

    /// The answer: the best document first. Throws 502 for one that breaks hearth.v1.
    package func object(_ response: Hearth_V1_RerankResponse) throws(HTTPFailure) -> JSONOutput {
        var results: [JSONOutput] = []
        for ranked in response.documents {
            guard ranked.index < rerank.documents.count else { throw .broken("a document that is not there") }
            var members: [(String, JSONOutput)] = [
                ("index", .integer(Int64(ranked.index))), ("relevance_score", .shortest(ranked.score)),
            ]
            if returnsDocuments {
                members.append(("document", .object([("text", .string(rerank.documents[Int(ranked.index)]))])))
            }
            results.append(.object(members))
        }
        return .object([
            ("object", .string("list")), ("model", .string(rerank.model)), ("results", .list(results)),
            (
                "usage",
                .object([
                    ("prompt_tokens", .integer(Int64(response.promptTokens))),
                    ("total_tokens", .integer(Int64(response.promptTokens))),
                ])
            ),
        ])
    }

    /// The path in this protocol of a field of hearth.v1 that the agent refused.
    package static func param(_ field: String) -> String? { field }
}
