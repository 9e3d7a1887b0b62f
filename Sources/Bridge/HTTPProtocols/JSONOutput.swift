internal import StrictJSON

/// JSON that an answer is made of. Members keep their order.
package indirect enum JSONOutput: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Null where it is not finite, which JSON cannot say.
    case number(Double)
    case string(String)
    /// JSON text, put in as it is.
    case text(String)
    case list([JSONOutput])
    case object([(String, JSONOutput)])

    /// Compact JSON text, on one line (RFC 8259).
    package var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let flag): text += flag ? "true" : "false"
        case .integer(let number): text += String(number)
        case .number(let number): text += number.isFinite ? "\(number)" : "null"
        case .string(let string): text += jsonString(string)
        case .text(let json): text += json
        case .list(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                text += jsonString(member.0) + ":"
                member.1.write(to: &text)
            }
            text += "}"
        }
    }

    /// A value that was read, as it was written.
    init(_ node: JSONNode) {
        switch node.value {
        case .null: self = .null
        case .bool(let flag): self = .bool(flag)
        case .number(let digits): self = .text(digits)
        case .string(let string): self = .string(string)
        case .array(let elements): self = .list(elements.map { JSONOutput($0) })
        case .object(let members): self = .object(members.map { ($0.key, JSONOutput($0.node)) })
        }
    }
}
