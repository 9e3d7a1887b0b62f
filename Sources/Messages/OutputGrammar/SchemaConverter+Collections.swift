internal import StrictJSON

extension SchemaConverter {
    /// A name that others are told from.
    static let nameBytesMax = 256

    // MARK: Arrays

    mutating func array(_ parts: [SchemaPart]) throws(GrammarError) -> String? {
        var least = 0
        var most: Int?
        var prefixCount = 0
        var restIsOpen = true
        for part in parts {
            if let count = try part.count("minItems") { least = max(least, count) }
            if let count = try part.count("maxItems") { most = min(most ?? count, count) }
            if case .bool(true)? = part["uniqueItems"]?.value {
                throw part.failure("uniqueItems", "cannot be held to by a grammar; leave it out")
            }
            if case .array? = part["items"]?.value {
                throw part.failure("items", "is a list, as in earlier drafts; name it prefixItems")
            }
            let prefix = try part.list("prefixItems")?.count ?? 0
            prefixCount = max(prefixCount, prefix)
            // Where nothing is said of what follows, nothing does.
            if prefix > 0, part["items"] == nil { restIsOpen = false }
        }
        for keyword in ["minItems", "maxItems"] {
            guard max(least, most ?? 0) > GrammarLimits.repetitionsMax,
                let part = parts.first(where: { $0[keyword] != nil })
            else { continue }
            throw part.failure(
                keyword, "is more than \(GrammarLimits.repetitionsMax), which cannot be held; leave it out")
        }
        let blank = try writer.shared(.blank)
        // Elements with a schema of their own, up to one that allows nothing.
        var elements: [String] = []
        while elements.count < min(prefixCount, most ?? .max) {
            guard let rule = try rule(try element(elements.count, of: parts), []) else { break }
            elements.append("\(rule) \(blank)")
        }
        let isCut = elements.count < prefixCount
        let rest = isCut || !restIsOpen ? nil : try rule(try element(prefixCount, of: parts), [])
        let room = rest == nil ? elements.count : most ?? .max
        guard least <= room else { return nil }
        // From the end: what may follow so many elements, each time with the comma before it.
        var tail: String?
        if let rest, room > elements.count {
            let more = try writer.rule(
                "\"\(elements.isEmpty ? "" : ",")\" \(elements.isEmpty ? "" : blank) \(rest) \(blank)")
            let next = elements.isEmpty ? try writer.rule("\",\" \(blank) \(rest) \(blank)") : more
            let (low, high) = (max(0, least - elements.count), most.map { $0 - elements.count })
            if elements.isEmpty {
                let range = "{\(max(0, low - 1)),\(high.map { "\($0 - 1)" } ?? "")}"
                tail = "\(more) \(next)\(range)"
                if low == 0 { tail = "( \(tail ?? "") )?" }
            } else {
                tail = "\(next){\(low),\(high.map { "\($0)" } ?? "")}"
            }
        }
        for index in elements.indices.reversed() {
            let sequence = "\(index == 0 ? "" : "\",\" \(blank) ")\(elements[index]) \(tail ?? "")"
            // Enough without it.
            tail = index >= least ? try writer.rule("( \(sequence) )?") : try writer.rule(sequence)
        }
        return "\"[\" \(blank) \(tail ?? "") \"]\""
    }

    /// What all parts say of an element.
    private func element(_ index: Int, of parts: [SchemaPart]) throws(GrammarError) -> [SchemaPart] {
        var result: [SchemaPart] = []
        for part in parts {
            if let prefix = try part.list("prefixItems"), index < prefix.count {
                result.append(part.child("prefixItems/\(index)", prefix[index]))
            } else if let items = part["items"] {
                result.append(part.child("items", items))
            }
        }
        return result
    }

    // MARK: Objects

    mutating func object(_ parts: [SchemaPart]) throws(GrammarError) -> String? {
        var names: [String] = []
        var known: Set<[UInt8]> = []
        var required: Set<[UInt8]> = []
        var isOpen = false
        var isClosed = false
        var least = 0
        var most: Int?
        // By part, because a name is looked up in each.
        var properties: [[[UInt8]: JSONNode]] = []
        func add(_ name: String) { if known.insert(Array(name.utf8)).inserted { names.append(name) } }
        for part in parts {
            let members = try part.members("properties") ?? []
            properties.append(
                Dictionary(members.map { (Array($0.key.utf8), $0.node) }, uniquingKeysWith: { first, _ in first }))
            for member in members { add(member.key) }
        }
        for part in parts {
            for node in try part.list("required") ?? [] {
                guard case .string(let name) = node.value else {
                    throw part.failure("required", "must be a list of strings; there is \(node.found)")
                }
                add(name)
                required.insert(Array(name.utf8))
            }
            if let count = try part.count("minProperties") { least = max(least, count) }
            if let count = try part.count("maxProperties") { most = min(most ?? count, count) }
            if let node = part["additionalProperties"] {
                isOpen = true
                if case .bool(false) = node.value { isClosed = true }
            }
        }
        // Where nothing is said of other names, an object with names has no others, and one without has any.
        let mayHaveOthers = !isClosed && (isOpen || names.isEmpty)
        try count(parts: names.count * parts.count)
        let blank = try writer.shared(.blank)
        var members: [(text: String, isRequired: Bool)] = []
        for name in names {
            let isRequired = required.contains(Array(name.utf8))
            guard let rule = try rule(property(name, of: parts, properties), []) else {
                if isRequired { return nil }
                continue
            }
            let text = "\(GrammarWriter.literal(jsonString(name).dropFirst() + ":")) \(blank) \(rule) \(blank)"
            members.append((text, isRequired))
        }
        var other: String?
        if mayHaveOthers, let rule = try rule(property(nil, of: parts, properties), []) {
            if let long = names.first(where: { $0.utf8.count > Self.nameBytesMax }) {
                throw parts[0].failure(
                    "additionalProperties",
                    "cannot be held beside a name of more than \(Self.nameBytesMax) bytes (\(long.prefix(32))…)")
            }
            other = "\(try otherName(than: names)) \":\" \(blank) \(rule) \(blank)"
        }
        guard let others = try count(others: other != nil, members, least, most, parts) else { return nil }
        return try object(members, other, others)
    }

    /// The most members under other names; nil where the counts allow no object. Throws where counts cannot be held.
    private func count(
        others: Bool, _ members: [(text: String, isRequired: Bool)], _ least: Int, _ most: Int?, _ parts: [SchemaPart]
    ) throws(GrammarError) -> Int? {
        let requiredCount = members.reduce(0) { $0 + ($1.isRequired ? 1 : 0) }
        func failure(_ keyword: String) -> GrammarError {
            let part = parts.first { $0[keyword] != nil } ?? parts[0]
            return part.failure(keyword, "can be held only where required or properties decide it; leave it out")
        }
        if least > requiredCount {
            if !others, least > members.count { return nil }
            throw failure("minProperties")
        }
        guard let most else { return others ? .max : 0 }
        if most < requiredCount { return nil }
        guard members.count <= most else { throw failure("maxProperties") }
        let left = most - members.count
        guard others, left <= GrammarLimits.repetitionsMax else { return others ? .max : 0 }
        return left
    }

    /// Members come in the order of `members`, and others behind them. The quotation mark before a name stands before all names
    /// that can come, so that only few ways are open where a blank can come too.
    private mutating func object(
        _ members: [(text: String, isRequired: Bool)], _ other: String?, _ others: Int
    ) throws(GrammarError) -> String {
        let blank = try writer.shared(.blank)
        let mark = "\"\\\"\""
        // What can follow a mark, and what can follow a member, with all that comes then.
        var name: String?
        var behind = "\"}\""
        if let other, others > 0 {
            let next = try writer.rule("\",\" \(blank) \(mark) \(other)")
            let range = others == .max ? ("", "") : ("\(others)", "\(others - 1)")
            behind = try writer.rule("\(next){0,\(range.0)} \"}\"")
            name = try writer.rule("\(other) \(next){0,\(range.1)} \"}\"")
        }
        var mayEnd = true
        for member in members.reversed() {
            let rule = try writer.rule("\(member.text) \(behind)")
            mayEnd = mayEnd && !member.isRequired
            if !member.isRequired, let rest = name {
                name = try writer.rule("\(rule) | \(rest)")
            } else {
                name = rule
            }
            behind = try writer.rule("\",\" \(blank) \(mark) \(name ?? rule)\(mayEnd ? " | \"}\"" : "")")
        }
        guard let name else { return "\"{\" \(blank) \"}\"" }
        return "\"{\" \(blank) ( \(mark) \(name)\(mayEnd ? " | \"}\"" : "") )"
    }

    /// What all parts say of a member; nil: of one whose name no part names.
    private func property(
        _ name: String?, of parts: [SchemaPart], _ properties: [[[UInt8]: JSONNode]]
    ) -> [SchemaPart] {
        zip(parts, properties).compactMap { part, properties in
            if let name, let node = properties[Array(name.utf8)] { return part.child("properties", name, node) }
            return part["additionalProperties"].map { part.child("additionalProperties", $0) }
        }
    }

    /// The rule of the names, with the mark behind them and without escapes, that are none of these.
    private mutating func otherName(than names: [String]) throws(GrammarError) -> String {
        let plain = names.filter { $0.unicodeScalars.allSatisfy { $0 >= " " && $0 != "\"" && $0 != "\\" } }
        let rest = try writer.rule("[^\\\"\\\\\\x00-\\x1F\\x7F]* \"\\\"\"")
        var scalars = plain.map { Array($0.unicodeScalars) }
        scalars.sort { $0.lexicographicallyPrecedes($1) }
        return try otherName(scalars[...], from: 0, rest)
    }

    private mutating func otherName(
        _ names: ArraySlice<[Unicode.Scalar]>, from place: Int, _ rest: String
    ) throws(GrammarError) -> String {
        guard !names.isEmpty else { return rest }
        var alternatives: [String] = []
        var left = names
        // The name that ends here is declared: the mark must not follow.
        if left.first?.count == place {
            left = left.drop { $0.count == place }
        } else {
            alternatives.append("\"\\\"\"")
        }
        var excluded: [ClosedRange<UInt32>] = [0...0x1F, 0x22...0x22, 0x5C...0x5C, 0x7F...0x7F]
        while let first = left.first {
            let group = left.prefix { $0[place] == first[place] }
            left = left[group.endIndex...]
            let scalar = first[place]
            excluded.append(scalar.value...scalar.value)
            alternatives.append(
                "\(GrammarWriter.set([scalar.value...scalar.value])) \(try otherName(group, from: place + 1, rest))")
        }
        alternatives.append("\(GrammarWriter.set(excluded, isInverse: true)) \(rest)")
        return try writer.rule(alternatives.joined(separator: " | "))
    }

    // MARK: oneOf

    /// Throws unless no value is allowed by two of the alternatives.
    mutating func checkDisjoint(
        _ branches: [SchemaPart], of part: SchemaPart, beside parts: [SchemaPart]
    ) throws(GrammarError) {
        pairs += branches.count * branches.count / 2
        guard pairs <= Self.pairsMax else { throw part.failure("oneOf", "has too many alternatives; use anyOf") }
        var kinds: [SchemaKind?] = []
        for branch in branches {
            kinds.append(try expanded([branch]).map { parts throws(GrammarError) in try kind(of: parts) })
        }
        for (index, kind) in kinds.enumerated() {
            guard let kind else { continue }
            for (other, otherKind) in kinds.enumerated().dropFirst(index + 1) {
                guard let otherKind, !kind.isDisjoint(with: otherKind) else { continue }
                throw part.failure(
                    "oneOf",
                    "has alternatives, \(index) and \(other), that might both allow a value; use anyOf, or types or "
                        + "constants that differ")
            }
        }
    }

    private func kind(of parts: [SchemaPart]) throws(GrammarError) -> SchemaKind {
        var kind = SchemaKind(types: try namedTypes(parts))
        for part in parts {
            if let texts = try part.texts { kind.literals = kind.literals?.intersection(texts) ?? texts }
            for node in try part.list("required") ?? [] {
                if case .string(let name) = node.value { kind.required.insert(name) }
            }
            let members = try part.members("properties") ?? []
            for member in members {
                guard let texts = try part.child("properties", member.key, member.node).texts else { continue }
                kind.constants[member.key] = kind.constants[member.key]?.intersection(texts) ?? texts
            }
            if case .bool(false)? = part["additionalProperties"]?.value {
                let names = Set(members.map(\.key))
                kind.closed = kind.closed?.intersection(names) ?? names
            }
        }
        return kind
    }
}

/// What tells the values of an alternative from those of another.
private struct SchemaKind {
    /// Those that it allows.
    var types: JSONTypes
    /// All that it allows, by `enum` and `const`; nil: more.
    var literals: Set<String>?
    /// Of objects: the names that they have, all that they may have, and which values these have.
    var required: Set<String> = []
    var closed: Set<String>?
    var constants: [String: Set<String>] = [:]

    init(types: JSONTypes) { self.types = types }

    func isDisjoint(with other: SchemaKind) -> Bool {
        let common = types.intersection(other.types)
        if common.isEmpty { return true }
        if let literals, let others = other.literals { return literals.isDisjoint(with: others) }
        guard common == .object else { return false }
        for name in required.intersection(other.required) {
            guard let values = constants[name], let others = other.constants[name] else { continue }
            if values.isDisjoint(with: others) { return true }
        }
        return !(closed?.isSuperset(of: other.required) ?? true) || !(other.closed?.isSuperset(of: required) ?? true)
    }
}

extension SchemaPart {
    /// The values that `enum` or `const` leaves, as texts that are the same only for the same value; nil where there is neither.
    fileprivate var texts: Set<String>? {
        get throws(GrammarError) {
            if let node = self["const"] { return try comparable([node]) }
            guard let nodes = try list("enum") else { return nil }
            return try comparable(nodes)
        }
    }

    /// Nil where a value may be written in several ways.
    private func comparable(_ nodes: [JSONNode]) throws(GrammarError) -> Set<String>? {
        for node in nodes {
            switch node.value {
            case .null, .bool, .string: continue
            case .number(let text)
            where text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            ):
                continue
            default: return nil
            }
        }
        return Set(nodes.map { SchemaConverter.text($0.value) })
    }
}
