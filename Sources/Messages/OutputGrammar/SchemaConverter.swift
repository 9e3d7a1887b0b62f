internal import StrictJSON

/// Makes a grammar of a JSON schema: every text that the grammar allows is JSON that the schema allows. What a grammar cannot
/// hold is refused with its place and its keyword, and nothing is widened. What a schema allows may be more than the grammar
/// writes: Docs/decisions/0016-forms-are-grammars.md has the table.
///
/// A rule stands for a list of parts that all must hold: a schema, those that its `$ref` and `allOf` name, and the alternatives
/// that were chosen of its `anyOf`.
struct SchemaConverter {
    /// Schemas within each other.
    static let nestingMax = 64
    /// Lists of parts that rules are made of: alternatives multiply.
    static let rulesMax = 4_096
    /// Parts of all rules together.
    static let partsMax = 32_768
    static let patternBytesMax = 1_024
    /// Rules within each other, and references one behind the other.
    static let depthMax = 100
    /// Pairs of alternatives of `oneOf` that are compared.
    static let pairsMax = 4_096

    private let root: SchemaPart
    var writer = GrammarWriter()
    /// The rule of each list of parts; nil: no value is allowed.
    private var rules: [String: String?] = [:]
    private var partCount = 0
    private var depth = 0
    /// Pairs of alternatives of `oneOf` that were compared.
    var pairs = 0
    private var checked: Set<String> = []
    /// The rules of strings of a length.
    private var strings: [String: String] = [:]

    init(_ schema: String) throws(GrammarError) {
        do throws(JSONError) {
            root = SchemaPart(
                path: "", node: try JSONNode.parse(Array(schema.utf8), file: "", nestingMax: Self.nestingMax))
        } catch {
            throw GrammarError("line \(error.line): \(error.message)")
        }
    }

    mutating func grammar() throws(GrammarError) -> String {
        guard let name = try rule([root], []) else { throw GrammarError("allows no value at all") }
        try writer.write("root", name)
        return writer.text
    }

    /// The rule of the values that all parts allow; nil where there is none. `open`: the lists whose rules have not come to a
    /// scalar yet.
    mutating func rule(_ parts: [SchemaPart], _ open: Set<String>) throws(GrammarError) -> String? {
        guard let parts = try expanded(parts) else { return nil }
        guard !parts.isEmpty else { return try writer.shared(.value) }
        let key = parts.map(\.key).sorted().joined(separator: "\n")
        if open.contains(key) { throw parts[0].failure("$ref", "leads back to itself, and no value comes between") }
        if let known = rules[key] { return known }
        try count(parts: parts.count)
        guard rules.count < Self.rulesMax else { throw Self.tooMany }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else {
            throw parts[0].failure("$ref", "leads more than \(Self.depthMax) levels deep")
        }
        let name = writer.name()
        rules[key] = .some(name)
        guard let body = try body(parts, open.union([key])) else {
            // Where it was named already, that has no end either.
            try writer.write(name, "\"0\" \(name)")
            rules[key] = .some(nil)
            return nil
        }
        try writer.write(name, body)
        return name
    }

    private mutating func body(_ parts: [SchemaPart], _ open: Set<String>) throws(GrammarError) -> String? {
        for keyword in ["anyOf", "oneOf"] {
            guard let index = parts.firstIndex(where: { !$0.isChosen && $0[keyword] != nil }) else { continue }
            let part = parts[index]
            if part["anyOf"] != nil, part["oneOf"] != nil {
                throw part.failure("oneOf", "stands beside anyOf, which cannot be held; put one of them into allOf")
            }
            let branches = try (part.list(keyword) ?? []).enumerated().map {
                part.child("\(keyword)/\($0.offset)", $0.element)
            }
            guard !branches.isEmpty else { throw part.failure(keyword, "is empty") }
            if keyword == "oneOf" { try checkDisjoint(branches, of: part, beside: parts) }
            var rest = parts
            rest[index].isChosen = true
            var alternatives: [String] = []
            for branch in branches {
                guard let rule = try rule(rest + [branch], open), !alternatives.contains(rule) else { continue }
                alternatives.append(rule)
            }
            return alternatives.isEmpty ? nil : alternatives.joined(separator: " | ")
        }
        if let literals = try literals(parts) {
            guard !literals.isEmpty else { return nil }
            return try writer.choice(among: literals)
        }
        var alternatives: [String] = []
        let types = try types(parts)
        if types.contains(.null) { alternatives.append("\"null\"") }
        if types.contains(.boolean) { alternatives.append("\"true\" | \"false\"") }
        if types.contains(.string), let body = try string(parts) { alternatives.append(body) }
        if !types.isDisjoint(with: .number), let body = try number(parts, isWhole: !types.contains(.fractional)) {
            alternatives.append(body)
        }
        if types.contains(.array), let body = try array(parts) { alternatives.append(body) }
        if types.contains(.object), let body = try object(parts) { alternatives.append(body) }
        return alternatives.isEmpty ? nil : alternatives.joined(separator: " | ")
    }
}

// MARK: - Parts

extension SchemaConverter {
    private static let tooMany = GrammarError("has too many combinations of alternatives and parts; make it simpler")

    /// Throws where there is too much to be looked at.
    mutating func count(parts: Int) throws(GrammarError) {
        partCount += parts
        guard partCount <= Self.partsMax else { throw Self.tooMany }
    }

    /// Parts, with those that they refer to, as they are collected.
    private struct Expansion {
        private(set) var parts: [SchemaPart] = []
        private var paths: Set<String> = []
        private var chosen: Set<String> = []

        mutating func append(_ part: SchemaPart) {
            parts.append(part)
            parts[parts.count - 1].isExpanded = true
            paths.insert(part.path)
            if part.isChosen { chosen.insert(part.path) }
        }

        func holds(_ part: SchemaPart) -> Bool { paths.contains(part.path) }
        func holdsChosen(_ part: SchemaPart) -> Bool { chosen.contains(part.path) }
    }

    /// The parts, with those that they refer to, and without those that allow everything; nil where one allows nothing.
    mutating func expanded(_ parts: [SchemaPart]) throws(GrammarError) -> [SchemaPart]? {
        var expansion = Expansion()
        for part in parts {
            guard try add(part, to: &expansion, from: []) else { return nil }
        }
        return expansion.parts
    }

    /// Returns false where the part allows nothing. `ways`: the parts that refer to it.
    private mutating func add(
        _ part: SchemaPart, to expansion: inout Expansion, from ways: [String]
    ) throws(GrammarError) -> Bool {
        try count(parts: 1)
        switch part.node.value {
        case .bool(let allows): return allows
        case .object: break
        default: throw GrammarError("\(part.path.isEmpty ? "the schema" : part.path) must be an object, true or false")
        }
        if part.isExpanded {
            expansion.append(part)
            return true
        }
        // An alternative of a schema that needs the same schema says nothing.
        if ways.contains(part.path) || expansion.holdsChosen(part) {
            throw part.failure("$ref", "leads back to itself, and no value comes between")
        }
        if expansion.holds(part) { return true }
        guard ways.count < Self.depthMax else {
            throw part.failure("$ref", "leads through more than \(Self.depthMax) schemas")
        }
        try check(part)
        if part.isConstraining { expansion.append(part) }
        if let reference = try part.string("$ref") {
            let target = try target(of: reference, in: part)
            guard try add(target, to: &expansion, from: ways + [part.path]) else { return false }
        }
        for (index, node) in try (part.list("allOf") ?? []).enumerated() {
            let child = part.child("allOf/\(index)", node)
            guard try add(child, to: &expansion, from: ways + [part.path]) else { return false }
        }
        return true
    }

    /// Throws for a keyword that is unknown, that no grammar holds, or whose value is of the wrong kind.
    private mutating func check(_ part: SchemaPart) throws(GrammarError) {
        guard case .object(let members) = part.node.value, checked.insert(part.path).inserted else { return }
        for member in members {
            let keyword = member.key
            switch keyword {
            case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum": _ = try part.number(keyword)
            case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
                _ = try part.count(keyword)
            case "enum", "anyOf", "oneOf", "allOf", "prefixItems", "required": _ = try part.list(keyword)
            case "properties": _ = try part.members(keyword)
            case "pattern", "format", "$ref": _ = try part.string(keyword)
            case "type", "const", "items", "additionalProperties", "uniqueItems": break
            case "$id":
                guard part.path.isEmpty else {
                    throw part.failure(
                        keyword, "stands within the schema, where it changes what $ref means; leave it out")
                }
            case _ where SchemaKeyword.annotations.contains(keyword): break
            case _ where SchemaKeyword.refused.contains(keyword):
                throw part.failure(keyword, "cannot be held to by a grammar; leave it out, or say it otherwise")
            default:
                let known = SchemaKeyword.others.union(SchemaKeyword.typed.keys)
                let hint = NearestName.hint(for: keyword, among: known)
                throw part.failure(keyword, "is no keyword that is known\(hint); leave it out")
            }
        }
    }

    private func target(of reference: String, in part: SchemaPart) throws(GrammarError) -> SchemaPart {
        guard reference == "#" || reference.hasPrefix("#/") else {
            throw part.failure(
                "$ref", "names another document or an anchor; only places in this one (#/...) can be named")
        }
        var found = SchemaPart(path: "", node: root.node)
        for step in reference.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let decoded = Self.percentDecoded(step) else { throw part.failure("$ref", "is no JSON pointer") }
            let name = decoded.replacing("~1", with: "/").replacing("~0", with: "~")
            let next: JSONNode? =
                switch found.node.value {
                case .object(let members): members.first { $0.key == name }?.node
                case .array(let elements): Int(name).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
                default: nil
                }
            guard let next else { throw part.failure("$ref", "names \(reference.prefix(128)), which is not there") }
            found = SchemaPart(path: "\(found.path)/\(step)", node: next)
        }
        return found
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The types that all parts allow. Where none names one, those that their keywords are about, or all.
    func types(_ parts: [SchemaPart]) throws(GrammarError) -> JSONTypes {
        var types = JSONTypes.all
        var isNamed = false
        var about: JSONTypes = []
        for part in parts {
            if let named = try named(part) {
                isNamed = true
                types.formIntersection(named)
            }
            guard case .object(let members) = part.node.value else { continue }
            for member in members { about.formUnion(SchemaKeyword.typed[member.key] ?? []) }
        }
        return isNamed || about.isEmpty ? types : about
    }

    /// The types that all parts allow; all where none names one.
    func namedTypes(_ parts: [SchemaPart]) throws(GrammarError) -> JSONTypes {
        var types = JSONTypes.all
        for part in parts { types.formIntersection(try named(part) ?? .all) }
        return types
    }

    private func named(_ part: SchemaPart) throws(GrammarError) -> JSONTypes? {
        guard let node = part["type"] else { return nil }
        let nodes: [JSONNode]
        if case .array(let list) = node.value { nodes = list } else { nodes = [node] }
        var types: JSONTypes = []
        for node in nodes {
            guard case .string(let name) = node.value, let type = JSONTypes(name: name) else {
                throw part.failure("type", "names \(node.found), which is no type")
            }
            types.formUnion(type)
        }
        return types
    }
}

extension SchemaPart {
    /// Whether it says anything itself about the values that it allows.
    fileprivate var isConstraining: Bool {
        guard case .object(let members) = node.value else { return false }
        return members.contains { member in
            SchemaKeyword.typed[member.key] != nil || ["type", "enum", "const", "anyOf", "oneOf"].contains(member.key)
        }
    }
}

// MARK: - Literals

extension SchemaConverter {
    /// The texts of the values that `enum` and `const` leave; nil where there is neither.
    private func literals(_ parts: [SchemaPart]) throws(GrammarError) -> Set<String>? {
        var allowed: [(text: String, value: JSONNode.Value)]?
        for part in parts {
            for keyword in ["enum", "const"] {
                guard let node = part[keyword] else { continue }
                let nodes = keyword == "enum" ? try part.list(keyword) ?? [] : [node]
                if let before = allowed {
                    let texts = Set(nodes.map { Self.text($0.value) })
                    allowed = before.filter { texts.contains($0.text) }
                } else {
                    allowed = nodes.map { (Self.text($0.value), $0.value) }
                }
            }
        }
        guard let allowed else { return nil }
        var texts: Set<String> = []
        for (text, value) in allowed where try allows(value, parts) { texts.insert(text) }
        return texts
    }

    /// Whether parts allow a value, their `enum` and `const` aside.
    private func allows(_ value: JSONNode.Value, _ parts: [SchemaPart]) throws(GrammarError) -> Bool {
        let type = JSONTypes(of: value)
        for part in parts {
            if let named = try named(part), !named.isSuperset(of: type) { return false }
            guard case .object(let members) = part.node.value else { continue }
            for member in members {
                guard let about = SchemaKeyword.typed[member.key], !about.isDisjoint(with: type) else { continue }
                switch (member.key, value) {
                case ("minimum", .number), ("maximum", .number), ("exclusiveMinimum", .number),
                    ("exclusiveMaximum", .number):
                    break
                case ("minLength", .string(let text)):
                    if let count = try part.count("minLength"), text.unicodeScalars.count < count { return false }
                case ("maxLength", .string(let text)):
                    if let count = try part.count("maxLength"), text.unicodeScalars.count > count { return false }
                default:
                    throw part.failure(member.key, "stands beside enum or const, which cannot be held; leave it out")
                }
            }
        }
        if case .number(let text) = value {
            guard let number = Decimal(text) else { return false }
            return try range(parts).contains(number)
        }
        return true
    }

    /// A value as it is written.
    static func text(_ value: JSONNode.Value) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .number(let text): text
        case .string(let text): jsonString(text)
        case .array(let elements): "[" + elements.map { Self.text($0.value) }.joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(jsonString($0.key)):\(Self.text($0.node.value))" }.joined(separator: ",") + "}"
        }
    }
}

// MARK: - Strings and numbers

extension SchemaConverter {
    private mutating func string(_ parts: [SchemaPart]) throws(GrammarError) -> String? {
        var least = 0
        var most: Int?
        var special: (part: SchemaPart, keyword: String, body: String)?
        for part in parts {
            if let count = try part.count("minLength") { least = max(least, count) }
            if let count = try part.count("maxLength") { most = min(most ?? count, count) }
            for keyword in ["pattern", "format"] {
                guard let text = try part.string(keyword) else { continue }
                guard special == nil else {
                    throw part.failure(
                        keyword, "stands beside another pattern or format, and both cannot be held; leave one out")
                }
                special = (part, keyword, try body(part, keyword, text))
            }
        }
        if let special {
            if least > 0 || most != nil {
                throw special.part.failure(
                    special.keyword,
                    "stands beside minLength or maxLength, and both cannot be held; say the length in the pattern")
            }
            return "\"\\\"\" ( \(special.body) ) \"\\\"\""
        }
        if least == 0, most == nil { return try writer.shared(.string) }
        for keyword in ["minLength", "maxLength"] {
            guard max(least, most ?? 0) > GrammarLimits.repetitionsMax,
                let part = parts.first(where: { $0[keyword] != nil })
            else { continue }
            throw part.failure(
                keyword, "is more than \(GrammarLimits.repetitionsMax), which cannot be held; leave it out")
        }
        if let most, most < least { return nil }
        let key = "\(least),\(most.map { "\($0)" } ?? "")"
        if let known = strings[key] { return known }
        let scalar = try writer.shared(.scalar)
        let name = try writer.rule("\"\\\"\" \(scalar){\(key)} \"\\\"\"")
        strings[key] = name
        return name
    }

    private mutating func body(_ part: SchemaPart, _ keyword: String, _ text: String) throws(GrammarError) -> String {
        if keyword == "pattern" {
            guard text.utf8.count <= Self.patternBytesMax else {
                throw part.failure(keyword, "has \(text.utf8.count) bytes; at most \(Self.patternBytesMax) can be held")
            }
            let anything = try writer.shared(.scalar)
            do throws(GrammarError) {
                return try PatternConverter.body(text, anything: anything)
            } catch {
                throw part.failure(keyword, error.description)
            }
        }
        guard let body = StringFormat.bodies[text] else {
            throw part.failure(
                keyword,
                "is \"\(text.prefix(64))\", which cannot be held; there are "
                    + "\(StringFormat.bodies.keys.sorted().joined(separator: ", "))")
        }
        return body
    }

    private func range(_ parts: [SchemaPart]) throws(GrammarError) -> NumberRange {
        var range = NumberRange()
        for part in parts {
            if let value = try part.number("minimum") { range.restrict(from: value, isExcluded: false) }
            if let value = try part.number("exclusiveMinimum") { range.restrict(from: value, isExcluded: true) }
            if let value = try part.number("maximum") { range.restrict(to: value, isExcluded: false) }
            if let value = try part.number("exclusiveMaximum") { range.restrict(to: value, isExcluded: true) }
        }
        return range
    }

    private mutating func number(_ parts: [SchemaPart], isWhole: Bool) throws(GrammarError) -> String? {
        let range = try range(parts)
        guard range.low != nil || range.high != nil else { return try writer.shared(isWhole ? .integer : .number) }
        do throws(GrammarError) {
            return try range.body(isWhole: isWhole)
        } catch {
            let bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
            for part in parts {
                if let keyword = bounds.first(where: { part[$0] != nil }) {
                    throw part.failure(keyword, error.description)
                }
            }
            throw error
        }
    }
}
