/// What a value says, in words that are the same in every process: for comparing the settings of two agents. A part that
/// says nothing (nil, false or empty) is left out, so that a version that knows further settings has the same words as long
/// as they say nothing.
enum ValueWords {
    /// Empty: it says nothing.
    static func of(_ value: Any) -> String {
        switch value {
        case let text as String: return text.isEmpty ? "" : text.debugDescription
        case let flag as Bool: return flag ? "true" : ""
        case let number as any Numeric: return "\(number)"
        default: break
        }
        let mirror = Mirror(reflecting: value)
        let parts = mirror.children.map { (label: $0.label, words: of($0.value)) }
        switch mirror.displayStyle {
        case .optional: return parts.first.map { "some \($0.words)" } ?? ""
        case .collection: return parts.isEmpty ? "" : "[\(parts.map(\.words).joined(separator: ", "))]"
        case .set, .dictionary: return parts.isEmpty ? "" : "{\(parts.map(\.words).sorted().joined(separator: ", "))}"
        // A pair of a dictionary, among others; its parts have places, and each counts.
        case .tuple: return "(\(parts.map(\.words).joined(separator: ", ")))"
        case .enum:
            guard let part = parts.first else { return "\(value)" }
            return "\(part.label ?? "")(\(part.words))"
        default:
            let said = parts.filter { !$0.words.isEmpty }
            return said.isEmpty ? "" : "(\(said.map { "\($0.label ?? "_"): \($0.words)" }.joined(separator: ", ")))"
        }
    }
}
