package import InferenceMessages

/// A request of Anthropic's `/v1/messages/count_tokens`: one of `/v1/messages` that may leave out `max_tokens`.
package struct CountTokensRequest: Equatable, Sendable {
    /// What the agent's `CountTokens` is asked.
    package let generate: Hearth_V1_GenerateRequest

    package init(_ body: [UInt8]) throws(HTTPFailure) {
        generate = try MessagesRequest(body, needsMaxTokens: false).generate
    }

    /// The body of the answer.
    package static func object(_ response: Hearth_V1_CountTokensResponse) -> JSONOutput {
        .object([("input_tokens", .integer(Int64(response.tokens)))])
    }
}
