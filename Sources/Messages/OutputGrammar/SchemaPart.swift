internal import StrictJSON

/// A schema within the one that a consumer sent.
struct SchemaPart {
    /// Its place, a JSON pointer (RFC 6901); empty for the whole.
    let path: String
    let node: JSONNode
    /// Whether one of its alternatives was chosen already, and stands beside it.
    var isChosen = false
    /// Whether what it refers to stands beside it already.
    var isExpanded = false

    init(path: String, node: JSONNode) {
        self.path = path
        self.node = node
    }

    /// What makes it the same as another.
    var key: String { isChosen ? path + "!" : path }

    subscript(_ keyword: String) -> JSONNode? {
        guard case .object(let members) = node.value else { return nil }
        return members.first { $0.key == keyword }?.node
    }

    func child(_ keyword: String, _ node: JSONNode) -> SchemaPart { SchemaPart(path: "\(path)/\(keyword)", node: node) }

    func child(_ keyword: String, _ name: String, _ node: JSONNode) -> SchemaPart {
        SchemaPart(path: "\(path)/\(keyword)/\(Self.escaped(name))", node: node)
    }

    func failure(_ keyword: String, _ what: String) -> GrammarError {
        let place = "\(path)/\(Self.escaped(keyword))"
        // A place may be as long as the schema.
        let shown = place.utf8.count > 256 ? "…\(place.suffix(200))" : place
        return GrammarError("\(shown) \(what)")
    }

    private static func escaped(_ name: String) -> String {
        guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else { return name }
        return String(name.flatMap { $0 == "~" ? "~0" : $0 == "/" ? "~1" : String($0) })
    }

    // MARK: Typed keywords

    func list(_ keyword: String) throws(GrammarError) -> [JSONNode]? {
        guard let node = self[keyword] else { return nil }
        guard case .array(let elements) = node.value else { throw failure(keyword, "must be a list, not \(node.kind)") }
        return elements
    }

    func members(_ keyword: String) throws(GrammarError) -> [JSONNode.Member]? {
        guard let node = self[keyword] else { return nil }
        guard case .object(let members) = node.value else {
            throw failure(keyword, "must be an object, not \(node.kind)")
        }
        return members
    }

    func string(_ keyword: String) throws(GrammarError) -> String? {
        guard let node = self[keyword] else { return nil }
        guard case .string(let text) = node.value else { throw failure(keyword, "must be a string, not \(node.kind)") }
        return text
    }

    func number(_ keyword: String) throws(GrammarError) -> Decimal? {
        guard let node = self[keyword] else { return nil }
        guard case .number(let text) = node.value, let number = Decimal(text) else {
            throw failure(keyword, "must be a number of usual size, not \(node.found)")
        }
        return number
    }

    /// A count, which is a whole number.
    func count(_ keyword: String) throws(GrammarError) -> Int? {
        guard let number = try number(keyword) else { return nil }
        guard !number.isNegative, number.isWhole, number.whole.count < 18 else {
            throw failure(keyword, "must be a whole number of 0 or more")
        }
        return number.whole.reduce(0) { $0 * 10 + Int($1) }
    }
}

/// The kinds of values, as bits.
struct JSONTypes: OptionSet {
    let rawValue: Int
    static let null = JSONTypes(rawValue: 1)
    static let boolean = JSONTypes(rawValue: 2)
    static let string = JSONTypes(rawValue: 4)
    /// Whole numbers, and all others.
    static let integer = JSONTypes(rawValue: 8)
    static let fractional = JSONTypes(rawValue: 16)
    static let array = JSONTypes(rawValue: 32)
    static let object = JSONTypes(rawValue: 64)
    static let number: JSONTypes = [.integer, .fractional]
    static let all: JSONTypes = [.null, .boolean, .string, .integer, .fractional, .array, .object]

    init(rawValue: Int) { self.rawValue = rawValue }

    init?(name: String) {
        switch name {
        case "null": self = .null
        case "boolean": self = .boolean
        case "string": self = .string
        case "integer": self = .integer
        case "number": self = .number
        case "array": self = .array
        case "object": self = .object
        default: return nil
        }
    }

    init(of value: JSONNode.Value) {
        switch value {
        case .null: self = .null
        case .bool: self = .boolean
        case .string: self = .string
        case .number(let text): self = Decimal(text)?.isWhole == true ? .integer : .fractional
        case .array: self = .array
        case .object: self = .object
        }
    }
}

/// The keywords of JSON schemas that are known here.
enum SchemaKeyword {
    /// They say nothing about which values are allowed.
    static let annotations: Set = [
        "title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "$schema",
        "$defs",
        "definitions", "$anchor",
    ]
    /// They apply to values of one kind only.
    static let typed: [String: JSONTypes] = [
        "minimum": .number, "maximum": .number, "exclusiveMinimum": .number, "exclusiveMaximum": .number,
        "minLength": .string, "maxLength": .string, "pattern": .string, "format": .string, "items": .array,
        "prefixItems": .array, "minItems": .array, "maxItems": .array, "uniqueItems": .array, "properties": .object,
        "required": .object, "additionalProperties": .object, "minProperties": .object, "maxProperties": .object,
    ]
    static let others: Set = ["type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$id"]
    /// They exist, and no grammar holds them.
    static let refused: Set = [
        "multipleOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "unevaluatedProperties",
        "unevaluatedItems", "contains", "minContains", "maxContains", "dependentRequired", "dependentSchemas",
        "dependencies", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "additionalItems",
        "contentEncoding", "contentMediaType", "contentSchema", "id", "$vocabulary",
    ]
}
