/// Takes the members of a JSON object, typed; a key that nobody takes is refused with the nearest known one.
struct JSONObjectReader {
    let file: String
    let line: Int
    private let members: [JSONNode.Member]

    /// Throws unless `node` is an object and all its keys are known.
    init(_ node: JSONNode, _ place: String, keys: [String], file: String) throws(SandboxPolicyError) {
        guard case .object(let members) = node.value else {
            throw SandboxPolicyError(file: file, line: node.line, "\(place) must be an object, not \(node.kind)")
        }
        for member in members where !keys.contains(member.key) {
            throw SandboxPolicyError(
                file: file, line: member.line,
                "\(place): unknown key '\(member.key)'\(NearestName.hint(for: member.key, among: keys))")
        }
        self.file = file
        self.line = node.line
        self.members = members
    }

    func failure(_ key: String, _ message: String) -> SandboxPolicyError {
        SandboxPolicyError(file: file, line: line(of: key), "'\(key)' \(message)")
    }

    /// Where a member's value stands, or the object where it has no such member.
    func line(of key: String) -> Int { node(key)?.line ?? line }

    /// The member's value; absent and null are the same.
    func node(_ key: String) -> JSONNode? {
        guard let node = members.first(where: { $0.key == key })?.node, node.value != .null else { return nil }
        return node
    }

    func string(_ key: String) throws(SandboxPolicyError) -> String? {
        guard let node = node(key) else { return nil }
        guard case .string(let text) = node.value else { throw failure(key, "must be a string, not \(node.kind)") }
        return text
    }

    func required(_ key: String) throws(SandboxPolicyError) -> String {
        guard let text = try string(key) else { throw failure(key, "is missing") }
        return text
    }

    func integer(_ key: String, max: UInt64 = .max) throws(SandboxPolicyError) -> UInt64? {
        guard let node = node(key) else { return nil }
        guard case .number(let text) = node.value, let number = UInt64(text), number <= max else {
            throw failure(key, "must be a whole number from 0 to \(max)")
        }
        return number
    }

    func array(_ key: String, max: Int) throws(SandboxPolicyError) -> [JSONNode]? {
        guard let node = node(key) else { return nil }
        guard case .array(let elements) = node.value else { throw failure(key, "must be a list, not \(node.kind)") }
        guard elements.count <= max else { throw failure(key, "has \(elements.count) entries; at most \(max)") }
        return elements
    }

    func strings(_ key: String, max: Int) throws(SandboxPolicyError) -> [(text: String, line: Int)]? {
        guard let elements = try array(key, max: max) else { return nil }
        var texts: [(text: String, line: Int)] = []
        for element in elements {
            guard case .string(let text) = element.value else {
                throw SandboxPolicyError(file: file, line: element.line, "'\(key)' must be a list of strings")
            }
            texts.append((text, element.line))
        }
        return texts
    }
}
