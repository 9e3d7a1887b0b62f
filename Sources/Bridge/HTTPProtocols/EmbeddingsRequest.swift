internal import BaseEncodings
package import InferenceMessages

/// A request of OpenAI's `/v1/embeddings`, in the terms of hearth.v1, and what makes its answer.
package struct EmbeddingsRequest: Equatable, Sendable {
    package var embed: Hearth_V1_EmbedRequest
    /// Whether the answer has vectors as the base64 of their bytes, in place of lists of numbers.
    package var inBase64: Bool

    /// Fields that change nothing in the answer, and are accepted with any value.
    package static let withoutEffect: Set<String> = ["user"]

    /// Reads the body. Throws 400 with the path of the field that is wrong, or that this host does not take.
    package init(_ body: [UInt8]) throws(HTTPFailure) {
        let request = try RequestObject(
            body: body, known: ["dimensions", "encoding_format", "input", "model"], withoutEffect: Self.withoutEffect)
        embed = Hearth_V1_EmbedRequest()
        embed.model = try request.string("model") ?? ""
        for given in try request.inputs("input") {
            var input = Hearth_V1_EmbedInput()
            switch given {
            case .text(let text): input.text = text
            case .tokenIDs(let ids): input.tokenIds.ids = ids
            }
            embed.inputs.append(input)
        }
        if let dimensions: UInt32 = try request.integer("dimensions", 1...UInt32.max) { embed.dimensions = dimensions }
        switch try request.string("encoding_format") {
        case nil, "float": inBase64 = false
        case "base64": inBase64 = true
        default: throw request.failure("encoding_format", "must be \"float\" or \"base64\"")
        }
    }

    /// The answer. Throws 502 for one that breaks hearth.v1.
    package func object(_ response: Hearth_V1_EmbedResponse) throws(HTTPFailure) -> JSONOutput {
        guard response.embeddings.count == embed.inputs.count else { throw .broken("another number of vectors") }
        let data = response.embeddings.enumerated().map { index, embedding in
            JSONOutput.object([
                ("object", .string("embedding")), ("index", .integer(Int64(index))),
                (
                    "embedding",
                    inBase64
                        ? .string(Self.base64(embedding.vector))
                        : .list(embedding.vector.map { .shortest($0) })
                ),
            ])
        }
        return .object([
            ("object", .string("list")), ("data", .list(data)), ("model", .string(embed.model)),
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
    package static func param(_ field: String) -> String? {
        // An input is a member of its own, which has none.
        FieldPaths.own(field, [("inputs", "input")]).split(separator: ".").first.map { String($0) }
    }

    /// Each number as four bytes (IEEE 754), the least significant one first; padded, as the clients' readers need it.
    private static func base64(_ vector: [Float]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(vector.count * 4)
        for number in vector {
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: number.bitPattern >> shift)) }
        }
        let text = Base64.encode(bytes)
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }
}
