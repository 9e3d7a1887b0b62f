/// Checks piece by piece that bytes are the text of one JSON object (RFC 8259), blanks around it allowed. Pure and of constant
/// size, so that text of any length costs time only, and its reader can stop between two pieces. What strings hold is
/// not checked for UTF-8, and names may stand twice.
package struct JSONObjectScan: Equatable, Sendable {
    /// The deepest nesting of objects and arrays, the outermost object included.
    package static let nestingMax = 64

    /// Why the bytes are no object, as the end of a sentence that begins with the name of the text.
    package struct Flaw: Error, Equatable {
        package let sentence: String
    }

    private enum State: Equatable {
        case start, value, valueOrEnd, name, nameOrEnd, colon, commaOrEnd, done
        case text(isName: Bool)
        case escape(isName: Bool)
        case hex(isName: Bool, left: Int)
        case literal(Literal, index: Int)
        case minus, zero, digits, point, fraction, exponentSign, exponentFirst, exponent
    }

    private enum Literal: Equatable {
        case `true`, `false`, null

        var bytes: StaticString {
            switch self {
            case .true: "true"
            case .false: "false"
            case .null: "null"
            }
        }
    }

    private var state = State.start
    /// The number of bytes read.
    private var offset = 0
    /// The open objects and arrays: for each a bit, the innermost the lowest; 1: an object.
    private var kinds: UInt64 = 0
    private var depth = 0

    package init() {}

    /// Reads the next piece.
    package mutating func read(_ bytes: UnsafeRawBufferPointer) throws(Flaw) {
        var index = 0
        while index < bytes.count {
            if case .text = state {
                let start = index
                while index < bytes.count, Self.isPlain(bytes[index]) { index &+= 1 }
                offset &+= index &- start
                guard index < bytes.count else { return }
            }
            try take(bytes[index])
            index &+= 1
            offset &+= 1
        }
    }

    package mutating func read(_ bytes: [UInt8]) throws(Flaw) {
        var flaw: Flaw?
        bytes.withUnsafeBytes { bytes in
            do throws(Flaw) { try read(bytes) } catch { flaw = error }
        }
        if let flaw { throw flaw }
    }

    /// Nothing more comes.
    package func end() throws(Flaw) {
        if state != .done { throw Flaw(sentence: "ends at byte \(offset) before its JSON object does") }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isHex(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    private func flaw(_ byte: UInt8, _ expected: String) -> Flaw {
        let found =
            (0x21...0x7e).contains(byte)
            ? "'\(Character(Unicode.Scalar(byte)))'" : "the byte \(String(byte, radix: 16))"
        return Flaw(sentence: "is no JSON object: \(found) stands at byte \(offset), in place of \(expected)")
    }

    private mutating func take(_ byte: UInt8) throws(Flaw) {
        switch state {
        case .start, .value, .valueOrEnd, .name, .nameOrEnd, .colon, .commaOrEnd, .done:
            if !Self.isBlank(byte) { try takeMark(byte) }
        case .text(let isName):
            switch byte {
            case UInt8(ascii: "\""): state = isName ? .colon : .commaOrEnd
            case UInt8(ascii: "\\"): state = .escape(isName: isName)
            default: throw flaw(byte, "a character that a string may hold unescaped")
            }
        case .escape(let isName):
            switch byte {
            case UInt8(ascii: "u"): state = .hex(isName: isName, left: 4)
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
                UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                state = .text(isName: isName)
            default: throw flaw(byte, "an escape's letter")
            }
        case .hex(let isName, let left):
            guard Self.isHex(byte) else { throw flaw(byte, "a hexadecimal digit") }
            state = left > 1 ? .hex(isName: isName, left: left - 1) : .text(isName: isName)
        case .literal(let literal, let index):
            let bytes = literal.bytes
            guard byte == bytes.utf8Start[index] else { throw flaw(byte, "\(bytes)") }
            state = index + 1 < bytes.utf8CodeUnitCount ? .literal(literal, index: index + 1) : .commaOrEnd
        case .minus, .zero, .digits, .point, .fraction, .exponentSign, .exponentFirst, .exponent:
            try takeNumber(byte)
        }
    }

    /// A byte that is no blank, outside of strings, numbers and literals.
    private mutating func takeMark(_ byte: UInt8) throws(Flaw) {
        switch (state, byte) {
        case (.start, UInt8(ascii: "{")): try open(isObject: true)
        case (.nameOrEnd, UInt8(ascii: "}")): close()
        case (.valueOrEnd, UInt8(ascii: "]")): close()
        case (.name, UInt8(ascii: "\"")), (.nameOrEnd, UInt8(ascii: "\"")): state = .text(isName: true)
        case (.colon, UInt8(ascii: ":")): state = .value
        case (.commaOrEnd, UInt8(ascii: ",")): state = kinds & 1 == 1 ? .name : .value
        case (.commaOrEnd, UInt8(ascii: "}")) where kinds & 1 == 1: close()
        case (.commaOrEnd, UInt8(ascii: "]")) where kinds & 1 == 0: close()
        case (.value, _), (.valueOrEnd, _): try beginValue(byte)
        case (.start, _): throw flaw(byte, "its '{'")
        case (.name, _): throw flaw(byte, "a name")
        case (.nameOrEnd, _): throw flaw(byte, "a name or '}'")
        case (.colon, _): throw flaw(byte, "':'")
        case (.commaOrEnd, _): throw flaw(byte, kinds & 1 == 1 ? "',' or '}'" : "',' or ']'")
        default: throw flaw(byte, "the end of the text")
        }
    }

    private mutating func beginValue(_ byte: UInt8) throws(Flaw) {
        switch byte {
        case UInt8(ascii: "{"): try open(isObject: true)
        case UInt8(ascii: "["): try open(isObject: false)
        case UInt8(ascii: "\""): state = .text(isName: false)
        case UInt8(ascii: "t"): state = .literal(.true, index: 1)
        case UInt8(ascii: "f"): state = .literal(.false, index: 1)
        case UInt8(ascii: "n"): state = .literal(.null, index: 1)
        case UInt8(ascii: "-"): state = .minus
        case UInt8(ascii: "0"): state = .zero
        case UInt8(ascii: "1")...UInt8(ascii: "9"): state = .digits
        default: throw flaw(byte, "a value")
        }
    }

    private mutating func open(isObject: Bool) throws(Flaw) {
        guard depth < Self.nestingMax else {
            throw Flaw(sentence: "is nested deeper than \(Self.nestingMax) objects and arrays at byte \(offset)")
        }
        depth += 1
        kinds = kinds << 1 | (isObject ? 1 : 0)
        state = isObject ? .nameOrEnd : .valueOrEnd
    }

    private mutating func close() {
        depth -= 1
        kinds >>= 1
        state = depth == 0 ? .done : .commaOrEnd
    }

    private mutating func takeNumber(_ byte: UInt8) throws(Flaw) {
        let isDigit = Self.isDigit(byte)
        switch (state, byte) {
        case (.minus, UInt8(ascii: "0")): state = .zero
        case (.minus, _) where isDigit: state = .digits
        case (.digits, _) where isDigit: break
        case (.zero, UInt8(ascii: ".")), (.digits, UInt8(ascii: ".")): state = .point
        case (.point, _) where isDigit, (.fraction, _) where isDigit: state = .fraction
        case (.zero, _) where byte | 0x20 == UInt8(ascii: "e"), (.digits, _) where byte | 0x20 == UInt8(ascii: "e"),
            (.fraction, _) where byte | 0x20 == UInt8(ascii: "e"):
            state = .exponentSign
        case (.exponentSign, UInt8(ascii: "+")), (.exponentSign, UInt8(ascii: "-")): state = .exponentFirst
        case (.exponentSign, _) where isDigit, (.exponentFirst, _) where isDigit, (.exponent, _) where isDigit:
            state = .exponent
        case (.zero, _), (.digits, _), (.fraction, _), (.exponent, _):
            // The number has ended before this byte.
            state = .commaOrEnd
            try take(byte)
        default: throw flaw(byte, "a digit")
        }
    }
}
