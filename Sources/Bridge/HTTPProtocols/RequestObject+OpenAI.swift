internal import StrictJSON

// What several requests of OpenAI's protocol have.
extension RequestObject {
    /// Whether the answer comes piece by piece, and whether a piece of its own says what it cost.
    func streaming() throws(HTTPFailure) -> (streams: Bool, includesUsage: Bool) {
        let streams = try bool("stream") ?? false
        let options = try object("stream_options", known: ["include_usage"], withoutEffect: ["include_obfuscation"])
        if options != nil, !streams { throw failure("stream_options", "needs 'stream' to be true") }
        return (streams, try options?.bool("include_usage") ?? false)
    }

    /// What a model is given as it is.
    enum Input: Equatable {
        case text(String)
        case tokenIDs([UInt32])
    }

    /// A text, the ids of its tokens, or a list of one or the other; at least one.
    func inputs(_ key: String) throws(HTTPFailure) -> [Input] {
        guard let node = node(key) else { throw failure(key, "is missing") }
        if case .string(let text) = node.value { return [.text(text)] }
        guard case .array(let elements) = node.value else {
            throw failure(key, "must be a string, token ids, or a list of one or the other, not \(node.found)")
        }
        if case .number = elements.first?.value { return [.tokenIDs(try Self.tokenIDs(elements, at: place(key)))] }
        var inputs: [Input] = []
        for (index, element) in elements.enumerated() {
            let path = "\(place(key))[\(index)]"
            switch element.value {
            case .string(let text): inputs.append(.text(text))
            case .array(let ids): inputs.append(.tokenIDs(try Self.tokenIDs(ids, at: path)))
            default: throw .invalid(path, "'\(path)' must be a string or a list of token ids, not \(element.found)")
            }
        }
        guard !inputs.isEmpty else { throw failure(key, "must not be empty") }
        return inputs
    }

    private static func tokenIDs(_ nodes: [JSONNode], at path: String) throws(HTTPFailure) -> [UInt32] {
        guard !nodes.isEmpty else { throw .invalid(path, "'\(path)' must not be empty") }
        var ids: [UInt32] = []
        for (index, node) in nodes.enumerated() {
            guard case .number(let digits) = node.value, let id = UInt32(digits) else {
                throw .invalid("\(path)[\(index)]", "'\(path)[\(index)]' must be a token id, not \(node.found)")
            }
            ids.append(id)
        }
        return ids
    }
}
