/// Recursive descent over bytes (RFC 8259).
struct JSONParser {
    private let input: [UInt8]
    private let file: String
    private let nestingMax: Int
    private var position = 0
    private var line = 1

    init(input: [UInt8], file: String, nestingMax: Int) {
        self.input = input
        self.file = file
        self.nestingMax = nestingMax
    }

    private func failure(_ message: String) -> JSONError { JSONError(file: file, line: line, message) }

    private var next: UInt8? { position < input.count ? input[position] : nil }

    private mutating func skipSpace() {
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            default: return
            }
            position += 1
        }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ byte: Unicode.Scalar, _ place: String) throws(JSONError) {
        guard take(byte) else { throw unexpected("expected '\(byte)' \(place)") }
    }

    /// The error for the next byte.
    private func unexpected(_ message: String) -> JSONError {
        switch next {
        case UInt8(ascii: "/"), UInt8(ascii: "#"): failure("JSON has no comments; take this one out")
        case UInt8(ascii: "'"): failure("\(message); JSON's quotes are \"")
        default: failure(message)
        }
    }

    mutating func document() throws(JSONError) -> JSONNode {
        if input.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw failure("begins with a byte order mark; save it as UTF-8 without one")
        }
        if input.contains(0) || input.starts(with: [0xFF, 0xFE]) || input.starts(with: [0xFE, 0xFF]) {
            throw JSONError(file: file, "this is no text in UTF-8; save it as such")
        }
        let node = try value(depth: 0)
        skipSpace()
        guard position == input.count else { throw unexpected("text follows the JSON value") }
        return node
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONNode {
        guard depth < nestingMax else {
            throw failure("nested deeper than \(nestingMax)")
        }
        skipSpace()
        let start = line
        switch next {
        case UInt8(ascii: "{"): return JSONNode(line: start, value: .object(try members(depth: depth)))
        case UInt8(ascii: "["): return JSONNode(line: start, value: .array(try elements(depth: depth)))
        case UInt8(ascii: "\""): return JSONNode(line: start, value: .string(try string()))
        case nil:
            throw failure("the text ends where a value should stand: the file is empty, or only half of it is here")
        default: return JSONNode(line: start, value: try word())
        }
    }

    private mutating func members(depth: Int) throws(JSONError) -> [JSONNode.Member] {
        position += 1
        var members: [JSONNode.Member] = []
        var keys: Set<String> = []
        if take("}") { return members }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw unexpected(closing("}") ?? "expected a key in quotes") }
            let start = line
            let key = try string()
            guard keys.insert(key).inserted else { throw failure("key '\(key)' stands twice") }
            try expect(":", "after key '\(key)'")
            members.append(JSONNode.Member(key: key, line: start, node: try value(depth: depth + 1)))
        } while take(",")
        try expect("}", "or ',' in an object")
        return members
    }

    private mutating func elements(depth: Int) throws(JSONError) -> [JSONNode] {
        position += 1
        var elements: [JSONNode] = []
        if take("]") { return elements }
        repeat {
            skipSpace()
            if let message = closing("]") { throw failure(message) }
            elements.append(try value(depth: depth + 1))
        } while take(",")
        try expect("]", "or ',' in a list")
        return elements
    }

    /// The error for a list or an object that ends after a comma.
    private func closing(_ end: Unicode.Scalar) -> String? {
        next == UInt8(ascii: end) ? "a comma stands before '\(end)'; take it out" : nil
    }

    /// true, false, null or a number.
    private mutating func word() throws(JSONError) -> JSONNode.Value {
        let start = position
        while let byte = next, isWordByte(byte) { position += 1 }
        let text = String(decoding: input[start..<position], as: UTF8.self)
        switch text {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default:
            guard !text.isEmpty else { throw unexpected("expected a value") }
            guard JSONParser.isNumber(text) else { throw failure("'\(text.prefix(64))' is no JSON value") }
            return .number(text)
        }
    }

    /// Whether this is a number (RFC 8259, section 6) in the range of a double.
    private static func isNumber(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        func takeDigits() -> Int {
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            rest = rest[digits.endIndex...]
            return digits.count
        }
        func take(_ scalars: Unicode.Scalar...) -> Bool {
            guard let byte = rest.first, scalars.contains(Unicode.Scalar(byte)) else { return false }
            rest = rest.dropFirst()
            return true
        }
        _ = take("-")
        guard take("0") || takeDigits() > 0 else { return false }
        if take("."), takeDigits() == 0 { return false }
        if take("e", "E") {
            _ = take("-", "+")
            guard takeDigits() > 0 else { return false }
        }
        return rest.isEmpty && Double(text)?.isFinite == true
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private func isWordByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
    }

    private mutating func string() throws(JSONError) -> String {
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

    private mutating func escape() throws(JSONError) -> [UInt8] {
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
    private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
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

    private mutating func hexUnit() throws(JSONError) -> UInt32 {
        let digits = String(decoding: input[position...].prefix(4), as: UTF8.self)
        guard digits.utf8.count == 4, digits.allSatisfy(\.isHexDigit), let unit = UInt32(digits, radix: 16) else {
            throw failure("\\u needs four hexadecimal digits")
        }
        position += 4
        return unit
    }
}
