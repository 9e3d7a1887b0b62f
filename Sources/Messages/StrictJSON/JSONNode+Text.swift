// JSON that a program changes for a person, who reads it afterwards.
extension JSONNode {
    package static var emptyObject: JSONNode { JSONNode(line: 1, value: .object([])) }

    /// An object whose member `key` is a string: in its place if there was one, otherwise as the first member. Another
    /// value stays as it is.
    package func setting(_ key: String, to text: String) -> JSONNode {
        guard case .object(var members) = value else { return self }
        let member = Member(key: key, line: line, node: JSONNode(line: line, value: .string(text)))
        if let index = members.firstIndex(where: { $0.key == key }) {
            members[index] = member
        } else {
            members.insert(member, at: 0)
        }
        return JSONNode(line: line, value: .object(members))
    }

    /// The value as JSON text (RFC 8259), indented by two spaces a level, with members and elements in their order and
    /// numbers as they were written; ends with a line feed.
    package var text: String { Self.text(value, indent: "") + "\n" }

    private static func text(_ value: Value, indent: String) -> String {
        let inner = indent + "  "
        switch value {
        case .null: return "null"
        case .bool(let flag): return "\(flag)"
        case .number(let text): return text
        case .string(let text): return jsonString(text)
        case .array(let elements):
            return list(elements.map { text($0.value, indent: inner) }, "[", "]", indent: indent)
        case .object(let members):
            return list(
                members.map { jsonString($0.key) + ": " + text($0.node.value, indent: inner) }, "{", "}", indent: indent
            )
        }
    }

    private static func list(_ parts: [String], _ begin: String, _ end: String, indent: String) -> String {
        guard !parts.isEmpty else { return begin + end }
        return begin + "\n" + parts.map { indent + "  " + $0 }.joined(separator: ",\n") + "\n" + indent + end
    }
}
