internal import LinuxSystem

/// A JSON text as a tree that remembers its lines, so that a refusal can say where (RFC 8259).
///
/// Strict: a key may stand once in an object, nothing follows the value, and depth and size are bounded.
struct JSONNode: Equatable, Sendable {
    let line: Int
    let value: Value

    indirect enum Value: Equatable, Sendable {
        case null
        case bool(Bool)
        /// As written.
        case number(String)
        case string(String)
        case array([JSONNode])
        case object([Member])
    }

    struct Member: Equatable, Sendable {
        let key: String
        let line: Int
        let node: JSONNode
    }

    /// What kind of value it is, in words.
    var kind: String {
        switch value {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    static func read(file: String) throws(SandboxPolicyError) -> JSONNode {
        let bytes: [UInt8]
        do throws(LinuxError) {
            bytes = try FileBytes.read(file, max: SandboxPolicyLimits.fileBytesMax)
        } catch {
            throw SandboxPolicyError(file: file, error.description)
        }
        return try parse(bytes, file: file)
    }

    static func parse(_ bytes: [UInt8], file: String) throws(SandboxPolicyError) -> JSONNode {
        var parser = JSONParser(input: bytes, file: file)
        return try parser.document()
    }
}

/// Recursive descent over bytes.
private struct JSONParser {
    let input: [UInt8]
    let file: String
    var position = 0
    var line = 1

    init(input: [UInt8], file: String) {
        self.input = input
        self.file = file
    }

    func failure(_ message: String) -> SandboxPolicyError { SandboxPolicyError(file: file, line: line, message) }

    var next: UInt8? { position < input.count ? input[position] : nil }

    mutating func skipSpace() {
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            default: return
            }
            position += 1
        }
    }

    mutating func take(_ byte: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    mutating func expect(_ byte: Unicode.Scalar, _ place: String) throws(SandboxPolicyError) {
        guard take(byte) else { throw failure("expected '\(byte)' \(place)") }
    }

    mutating func document() throws(SandboxPolicyError) -> JSONNode {
        let node = try value(depth: 0)
        skipSpace()
        guard position == input.count else { throw failure("text follows the JSON value") }
        return node
    }

    mutating func value(depth: Int) throws(SandboxPolicyError) -> JSONNode {
        guard depth < SandboxPolicyLimits.nestingMax else {
            throw failure("nested deeper than \(SandboxPolicyLimits.nestingMax)")
        }
        skipSpace()
        let start = line
        switch next {
        case UInt8(ascii: "{"): return JSONNode(line: start, value: .object(try members(depth: depth)))
        case UInt8(ascii: "["): return JSONNode(line: start, value: .array(try elements(depth: depth)))
        case UInt8(ascii: "\""): return JSONNode(line: start, value: .string(try string()))
        case nil: throw failure("the text ends where a value should stand")
        default: return JSONNode(line: start, value: try word())
        }
    }

    mutating func members(depth: Int) throws(SandboxPolicyError) -> [JSONNode.Member] {
        position += 1
        var members: [JSONNode.Member] = []
        if take("}") { return members }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw failure("expected a key in quotes") }
            let start = line
            let key = try string()
            guard !members.contains(where: { $0.key == key }) else { throw failure("key '\(key)' stands twice") }
            try expect(":", "after key '\(key)'")
            members.append(JSONNode.Member(key: key, line: start, node: try value(depth: depth + 1)))
        } while take(",")
        try expect("}", "or ',' in an object")
        return members
    }

    mutating func elements(depth: Int) throws(SandboxPolicyError) -> [JSONNode] {
        position += 1
        var elements: [JSONNode] = []
        if take("]") { return elements }
        repeat { elements.append(try value(depth: depth + 1)) } while take(",")
        try expect("]", "or ',' in a list")
        return elements
    }

    /// true, false, null or a number.
    mutating func word() throws(SandboxPolicyError) -> JSONNode.Value {
        let start = position
        while let byte = next, isWordByte(byte) { position += 1 }
        let text = String(decoding: input[start..<position], as: UTF8.self)
        switch text {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default:
            guard let first = text.utf8.first, first == UInt8(ascii: "-") || isDigit(first),
                let number = Double(text), number.isFinite, !text.contains(where: { "xXpP".contains($0) })
            else { throw failure(text.isEmpty ? "expected a value" : "'\(text)' is no JSON value") }
            return .number(text)
        }
    }

    func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    func isWordByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
    }

    mutating func string() throws(SandboxPolicyError) -> String {
        position += 1
        var bytes: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("a string is no UTF-8") }
                return text
            case UInt8(ascii: "\\"): bytes.append(contentsOf: try escape())
            case 0..<0x20: throw failure("a string is not closed on its line")
            default: bytes.append(byte)
            }
        }
        throw failure("a string is not closed")
    }

    mutating func escape() throws(SandboxPolicyError) -> [UInt8] {
        guard let byte = next else { throw failure("a string is not closed") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0c]
        case UInt8(ascii: "n"): return [0x0a]
        case UInt8(ascii: "r"): return [0x0d]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(try escapedScalar()).utf8)
        default: throw failure("unknown escape in a string")
        }
    }

    /// The scalar after `\u`, which may be a surrogate pair.
    mutating func escapedScalar() throws(SandboxPolicyError) -> Unicode.Scalar {
        let high = try hexUnit()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard (0xD800..<0xDC00).contains(high), input[position...].starts(with: [0x5C, 0x75]) else {
            throw failure("half of a surrogate pair in a string")
        }
        position += 2
        let low = try hexUnit()
        guard (0xDC00..<0xE000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        else { throw failure("half of a surrogate pair in a string") }
        return scalar
    }

    mutating func hexUnit() throws(SandboxPolicyError) -> UInt32 {
        let digits = String(decoding: input[position...].prefix(4), as: UTF8.self)
        guard digits.utf8.count == 4, digits.allSatisfy(\.isHexDigit), let unit = UInt32(digits, radix: 16) else {
            throw failure("\\u needs four hexadecimal digits")
        }
        position += 4
        return unit
    }
}
