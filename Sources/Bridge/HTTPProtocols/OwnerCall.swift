internal import StrictJSON

/// A request to the owner's REST, as the agent is asked.
package struct OwnerCall: Equatable, Sendable {
    package let endpoint: OwnerEndpoint
    /// The encoded request of the endpoint's call.
    package let request: [UInt8]

    /// Reads a request. Throws 400 with its name for a parameter or a field of the body that is unknown, stands twice or has
    /// another kind of value. An empty body is one without fields.
    package init(
        _ endpoint: OwnerEndpoint, path values: [String: String], query: String?, body: [UInt8]
    ) throws(HTTPFailure) {
        self.endpoint = endpoint
        let fields = MessageSchema.admin.messages[endpoint.schema?.request ?? ""] ?? []
        let parameters = try Self.parameters(query ?? "", of: endpoint)
        let object = try RequestObject(body: body.isEmpty ? Array("{}".utf8) : body, known: Set(endpoint.body))
        var found: [(MessageSchema.Field, MessageSchema.Value)] = []
        for field in fields {
            if let text = values[field.name] {
                found.append((field, .text(text)))
            } else if let text = parameters[field.name] {
                found.append((field, try Self.value(text, field)))
            } else if let value = try Self.value(object, field) {
                found.append((field, value))
            }
        }
        request = MessageSchema.encoded(found)
    }

    private static func parameters(_ query: String, of endpoint: OwnerEndpoint) throws(HTTPFailure) -> [String: String]
    {
        var found: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let texts = parts.map { PercentEncoding.decode(String($0).replacing("+", with: " ")) }
            guard let name = texts[0], let value = texts.count > 1 ? texts[1] : "" else {
                throw .invalid(nil, "the query has '\(pair.prefix(64))', which is not percent-encoded UTF-8")
            }
            guard endpoint.query.contains(name) else {
                let known =
                    endpoint.query.isEmpty ? "there are none" : "there are: \(endpoint.query.joined(separator: ", "))"
                throw .invalid(
                    String(name.prefix(64)), "the query parameter '\(name.prefix(64))' is unknown here; \(known)",
                    code: "unknown_parameter")
            }
            guard found.updateValue(value, forKey: name) == nil else {
                throw .invalid(name, "the query parameter '\(name)' stands twice")
            }
        }
        return found
    }

    /// A value in the query.
    private static func value(_ text: String, _ field: MessageSchema.Field) throws(HTTPFailure) -> MessageSchema.Value {
        guard let most = field.kind.numberMax else { return .text(text) }
        guard let number = digits(text), number <= most else {
            throw .invalid(field.name, "the query parameter '\(field.name)' must be a whole number from 0 to \(most)")
        }
        return .number(number)
    }

    /// A value in the body; nil where it is not there.
    private static func value(
        _ object: RequestObject, _ field: MessageSchema.Field
    ) throws(HTTPFailure) -> MessageSchema.Value? {
        guard let node = object.node(field.name) else { return nil }
        if field.isRepeated {
            var texts: [String] = []
            for (index, element) in try (object.list(field.name) ?? []).enumerated() {
                guard case .string(let text) = element.value else {
                    throw .invalid(
                        "\(field.name)[\(index)]", "'\(field.name)[\(index)]' must be a string, not \(element.found)")
                }
                texts.append(text)
            }
            return .texts(texts)
        }
        if let most = field.kind.numberMax {
            switch node.value {
            case .number(let text), .string(let text):
                if let number = digits(text), number <= most { return .number(number) }
            default: break
            }
            throw object.failure(field.name, "must be a whole number from 0 to \(most), not \(node.found)")
        }
        if field.kind == .bool { return try object.bool(field.name).map { .bool($0) } }
        return try object.string(field.name).map { .text($0) }
    }

    private static func digits(_ text: String) -> UInt64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? UInt64(text) : nil
    }
}

extension MessageSchema.Kind {
    /// The largest number; nil for what is none.
    fileprivate var numberMax: UInt64? {
        switch self {
        case .uint32: UInt64(UInt32.max)
        case .uint64, .fixed64: .max
        case .bool, .string, .int32, .float, .message: nil
        }
    }
}
