package import GRPC

/// How much a request matters to its caller. It travels as the metadata `hearth-priority` of a call.
package enum RequestPriority: String, Sendable, CaseIterable, Codable, Comparable {
    case low, normal, high

    /// The highest that a key allows where its owner has set none, and that callers without a key may ask for.
    package static let usualMost = RequestPriority.normal

    private static let key = "hearth-priority"

    /// The priority that the metadata of a call asks for; nil: none. Throws INVALID_ARGUMENT for any other value, and for
    /// several.
    package init?(in metadata: Metadata) throws(Status) {
        let values = metadata.entries.filter { $0.key == Self.key }
        guard let value = values.first else { return nil }
        guard values.count == 1, case .ascii(let text) = value.value, let priority = Self(rawValue: text) else {
            let message = "the metadata '\(Self.key)' is none of ours: send it once, as one of \(Self.inWords)"
            throw Status(
                .invalidArgument, message, details: [.badRequest(field: Self.key, description: message)])
        }
        self = priority
    }

    package static func < (one: Self, other: Self) -> Bool { one.order < other.order }

    package static let inWords = allCases.map(\.rawValue).joined(separator: ", ")

    private var order: Int {
        switch self {
        case .low: 0
        case .normal: 1
        case .high: 2
        }
    }
}
