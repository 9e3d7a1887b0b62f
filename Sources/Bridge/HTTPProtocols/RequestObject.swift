internal import StrictJSON

/// Reads the members of a JSON object in a request, typed. A null counts as absent, as the clients mean it; a member
/// that nobody knows is refused by its path.
struct RequestObject {
    /// The path of the object, empty for the request itself.
    let path: String
    private let members: [String: JSONNode]

    /// The deepest nesting of a request: that of a schema, and what stands around it.
    static let nestingMax = JSONObjectScan.nestingMax + 8

    /// The body of a request. Throws 400 for what is no JSON object.
    init(
        body: [UInt8], known: Set<String>, withoutEffect: Set<String> = [], refused: [String: String] = [:]
    ) throws(HTTPFailure) {
        guard !body.isEmpty else { throw .invalid(nil, "the body is empty: send the request as a JSON object") }
        let root: JSONNode
        do throws(JSONError) {
            root = try JSONNode.parse(body, file: "", nestingMax: Self.nestingMax)
        } catch {
            throw .invalid(nil, "the body is no JSON that can be read: line \(error.line): \(error.message)")
        }
        try self.init(root, known: known, withoutEffect: withoutEffect, refused: refused)
    }

    /// `refused`: members that this protocol has and this host does not take, with the remedy.
    init(
        _ node: JSONNode, at path: String = "", known: Set<String>, withoutEffect: Set<String> = [],
        refused: [String: String] = [:]
    ) throws(HTTPFailure) {
        guard case .object(let members) = node.value else {
            throw .invalid(
                path.isEmpty ? nil : path, "\(path.isEmpty ? "the body" : path) must be an object, not \(node.kind)")
        }
        self.path = path
        var values: [String: JSONNode] = [:]
        for member in members {
            let place = Self.join(path, member.key)
            if member.node.value == .null || withoutEffect.contains(member.key) { continue }
            if let remedy = refused[member.key] {
                throw .invalid(place, "'\(place)' is not supported here: \(remedy)", code: "unsupported_parameter")
            }
            guard known.contains(member.key) else {
                throw .invalid(
                    place,
                    "'\(place)' is not supported here\(NearestName.hint(for: member.key, among: known)); leave it out",
                    code: "unknown_parameter")
            }
            values[member.key] = member.node
        }
        self.members = values
    }

    private static func join(_ path: String, _ key: String) -> String {
        // A key of any length and content may stand here.
        let key = key.utf8.count > 64 ? key.prefix(64) + "…" : key
        return path.isEmpty ? key : "\(path).\(key)"
    }

    func place(_ key: String) -> String { Self.join(path, key) }

    func failure(_ key: String, _ message: String) -> HTTPFailure {
        .invalid(place(key), "'\(place(key))' \(message)")
    }

    func node(_ key: String) -> JSONNode? { members[key] }

    func string(_ key: String) throws(HTTPFailure) -> String? {
        guard let node = members[key] else { return nil }
        guard case .string(let text) = node.value else { throw failure(key, "must be a string, not \(node.found)") }
        return text
    }

    func required(_ key: String) throws(HTTPFailure) -> String {
        guard let text = try string(key) else { throw failure(key, "is missing") }
        return text
    }

    func bool(_ key: String) throws(HTTPFailure) -> Bool? {
        guard let node = members[key] else { return nil }
        guard case .bool(let flag) = node.value else { throw failure(key, "must be true or false, not \(node.found)") }
        return flag
    }

    func number(_ key: String) throws(HTTPFailure) -> Float? {
        guard let node = members[key] else { return nil }
        guard case .number(let text) = node.value, let number = Float(text), number.isFinite else {
            throw failure(key, "must be a number, not \(node.found)")
        }
        return number
    }

    /// A whole number of that range.
    func integer<Number: FixedWidthInteger & LosslessStringConvertible>(
        _ key: String, _ range: ClosedRange<Number>
    ) throws(HTTPFailure) -> Number? {
        guard let node = members[key] else { return nil }
        guard case .number(let text) = node.value, let number = Number(text), range.contains(number) else {
            throw failure(
                key, "must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(node.found)")
        }
        return number
    }

    func list(_ key: String) throws(HTTPFailure) -> [JSONNode]? {
        guard let node = members[key] else { return nil }
        guard case .array(let elements) = node.value else { throw failure(key, "must be a list, not \(node.found)") }
        return elements
    }

    /// The member as an object.
    func object(
        _ key: String, known: Set<String>, withoutEffect: Set<String> = [], refused: [String: String] = [:]
    ) throws(HTTPFailure) -> RequestObject? {
        guard let node = members[key] else { return nil }
        return try RequestObject(
            node, at: place(key), known: known, withoutEffect: withoutEffect, refused: refused)
    }

    /// The text of a JSON object, such as a schema.
    func objectText(_ key: String) throws(HTTPFailure) -> String? {
        guard let node = members[key] else { return nil }
        guard case .object = node.value else { throw failure(key, "must be an object, not \(node.found)") }
        return JSONOutput(node).text
    }
}
