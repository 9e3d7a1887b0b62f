/// Reads the members of a JSON object, typed; an unknown key is refused with the nearest known one.
package struct JSONObjectReader {
    package let file: String
    package let line: Int
    private let members: [JSONNode.Member]

    /// Throws unless `node` is an object and all its keys are known. `nullIsAbsent`: a null member counts as absent, as
    /// programs that write seccomp profiles mean it; otherwise it is refused, because a person who wrote it meant
    /// something.
    package init(
        _ node: JSONNode, _ place: String, keys: [String], nullIsAbsent: Bool = false, file: String
    ) throws(JSONError) {
        guard case .object(let members) = node.value else {
            throw JSONError(file: file, line: node.line, "\(place) must be an object, not \(node.kind)")
        }
        for member in members {
            guard keys.contains(member.key) else {
                let hint = NearestName.hint(for: member.key, among: keys)
                throw JSONError(
                    file: file, line: member.line,
                    "\(place): unknown key '\(member.key)'\(hint); there are \(keys.sorted().joined(separator: ", "))")
            }
            if member.node.value == .null, !nullIsAbsent {
                throw JSONError(
                    file: file, line: member.line, "'\(member.key)' is null; give it a value, or leave it out")
            }
        }
        self.file = file
        self.line = node.line
        self.members = members
    }

    package func failure(_ key: String, _ message: String) -> JSONError {
        JSONError(file: file, line: line(of: key), "'\(key)' \(message)")
    }

    /// The line of a member's value, or of the object if it has no such member.
    package func line(of key: String) -> Int { node(key)?.line ?? line }

    /// The member's value; nil if there is none.
    package func node(_ key: String) -> JSONNode? {
        guard let node = members.first(where: { $0.key == key })?.node, node.value != .null else { return nil }
        return node
    }

    package func string(_ key: String) throws(JSONError) -> String? {
        guard let node = node(key) else { return nil }
        guard case .string(let text) = node.value else { throw failure(key, "must be a string, not \(node.found)") }
        return text
    }

    package func required(_ key: String) throws(JSONError) -> String {
        guard let text = try string(key) else { throw failure(key, "is missing") }
        return text
    }

    package func integer(_ key: String, max: UInt64 = .max) throws(JSONError) -> UInt64? {
        guard let node = node(key) else { return nil }
        guard case .number(let text) = node.value, let number = UInt64(text), number <= max else {
            throw failure(key, "must be a whole number from 0 to \(max), not \(node.found)")
        }
        return number
    }

    package func bool(_ key: String) throws(JSONError) -> Bool? {
        guard let node = node(key) else { return nil }
        guard case .bool(let flag) = node.value else { throw failure(key, "must be true or false, not \(node.found)") }
        return flag
    }

    package func array(_ key: String, max: Int) throws(JSONError) -> [JSONNode]? {
        guard let node = node(key) else { return nil }
        guard case .array(let elements) = node.value else { throw failure(key, "must be a list, not \(node.found)") }
        guard elements.count <= max else { throw failure(key, "has \(elements.count) entries; at most \(max)") }
        return elements
    }

    package func strings(_ key: String, max: Int) throws(JSONError) -> [(text: String, line: Int)]? {
        guard let elements = try array(key, max: max) else { return nil }
        var texts: [(text: String, line: Int)] = []
        for element in elements {
            guard case .string(let text) = element.value else {
                throw JSONError(
                    file: file, line: element.line, "'\(key)' must be a list of strings; there is \(element.found)")
            }
            texts.append((text, element.line))
        }
        return texts
    }
}
