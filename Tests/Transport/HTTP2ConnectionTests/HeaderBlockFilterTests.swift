import HTTP2Connection
import Testing

/// What a header block looks like once what nghttp2 would not decode has been replaced in it.
struct HeaderBlockFilterTests {
    /// A frame of the connection.
    private static func frame(_ type: FrameHeader.Kind, flags: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255), type.rawValue, flags]
            + [0, 0, 0, 1] + payload
    }

    /// A block in HEADERS and as many CONTINUATION frames as it needs, with padding and a priority or without.
    private static func frames(_ block: [UInt8], decorated: Bool = false) -> [UInt8] {
        let size = 16_000
        let first = block.prefix(size)
        var rest = block.dropFirst(size)
        var bytes = frame(
            .headers, flags: (rest.isEmpty ? 4 : 0) | (decorated ? 0x28 : 0),
            decorated
                ? [7] + [0, 0, 0, 3, 9] + first + [UInt8](repeating: 0, count: 7)
                : Array(first))
        while !rest.isEmpty {
            let part = rest.prefix(size)
            rest = rest.dropFirst(size)
            bytes += frame(.continuation, flags: rest.isEmpty ? 4 : 0, Array(part))
        }
        return bytes
    }

    /// What came out, given in pieces of one size; and which bytes of it were told to be in a string's place.
    private static func filtered(_ bytes: [UInt8], piece: Int = .max) -> (bytes: [UInt8], replaced: [Bool]) {
        var filter = HeaderBlockFilter(expectsPreface: false)
        var out: [UInt8] = []
        var replaced: [Bool] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var part = Array(rest.prefix(piece))
            rest = rest.dropFirst(piece)
            part.withUnsafeMutableBytes { part in
                var position = 0
                while position < part.count, !filter.isBeyond {
                    let end = filter.next(in: part, from: position)
                    if end == position { Issue.record("nothing was passed") }
                    replaced += [Bool](repeating: filter.isReplacing, count: end - position)
                    position = end
                }
            }
            out += part
        }
        return (out, replaced)
    }

    /// The fields of a block, by the lengths that it tells.
    private static func decoded(_ frames: [UInt8]) -> [Field] {
        var block: [UInt8] = []
        var rest = frames[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            let payload = rest.dropFirst(9).prefix(count)
            block += head[4] & 8 == 0 ? payload : payload.dropFirst(6).dropLast(Int(payload[payload.startIndex]))
            rest = rest.dropFirst(9 + count)
        }
        var position = 0
        func integer(_ bits: Int) -> Int {
            let mask = 1 << bits - 1
            var value = Int(block[position]) & mask
            position += 1
            guard value == mask else { return value }
            var shift = 0
            while position < block.count {
                let byte = Int(block[position])
                position += 1
                value += (byte & 127) << shift
                shift += 7
                if byte & 128 == 0 { break }
            }
            return value
        }
        func string() -> Field.Value {
            let isHuffman = block[position] & 128 != 0
            let count = integer(7)
            position += count
            return Field.Value(bytes: count, isHuffman: isHuffman)
        }
        var fields: [Field] = []
        while position < block.count {
            let byte = block[position]
            if byte & 128 != 0 {
                fields.append(Field(kind: 128, index: integer(7)))
            } else if byte & 0xe0 == 0x20 {
                fields.append(Field(kind: 0x20, index: integer(5)))
            } else {
                var field = Field(kind: byte & 0x40 != 0 ? 0x40 : byte & 0xf0, index: 0)
                field.index = integer(byte & 0x40 != 0 ? 6 : 4)
                if field.index == 0 { field.nameBytes = string().bytes }
                field.value = string()
                fields.append(field)
            }
        }
        if position != block.count { Issue.record("the block ends within a field") }
        return fields
    }

    /// Everything that a field can look like, none too long.
    private static let short: [UInt8] =
        [0x3f, 0xe1, 0x1f, 0x82, 0xff, 0x00, 0x44] + string(5) + [0x00] + string(3) + string(200) + [0x1f, 0x20]
        + string(0) + [0x40] + string(1) + string(65_536, huffman: true) + [0x7f, 0x80, 0x01] + string(16_510)

    @Test("What is short enough passes as it is, in pieces of any size", arguments: [1, 2, 3, 1_000, .max])
    func short(piece: Int) {
        for decorated in [false, true] {
            let bytes = Self.frames(Self.short, decorated: decorated)
            let passed = Self.filtered(bytes, piece: piece)
            #expect(passed.bytes == bytes)
            #expect(!passed.replaced.contains(true))
        }
    }

    @Test("In the place of a long string stand shorter ones, and what is around it stays", arguments: LongString.all)
    func long(_ long: LongString) {
        let block = [0x82, 0x44] + string(5) + long.field + [0x40] + string(3) + string(4)
        let expected =
            [Field(kind: 128, index: 2), Field(kind: 0x40, index: 4, value: .init(bytes: 5))] + long.fields
            + [Field(kind: 0x40, index: 0, nameBytes: 3, value: .init(bytes: 4))]
        for decorated in [false, true] {
            let bytes = Self.frames(block, decorated: decorated)
            let (out, replaced) = Self.filtered(bytes)
            #expect(Self.decoded(out) == expected)
            #expect(Self.decoded(out).allSatisfy { $0.nameBytes <= 65_536 && $0.value?.bytes ?? 0 <= 65_536 })
            // No frame has become longer, and nothing was changed elsewhere but one byte of a length, or two.
            #expect(out.count == bytes.count)
            #expect(zip(zip(out, bytes), replaced).count { $0.0 != $0.1 && !$1 } <= 2)
            for piece in [1, 7, 16_009, 65_536] {
                let again = Self.filtered(bytes, piece: piece)
                #expect(again.bytes == out && again.replaced == replaced)
            }
        }
    }

    @Test("A string that no header block could hold is refused at its length")
    func beyond() {
        for length in [[0x7f, 0x80, 0x80, 0x80, 0x01], [0xff, 0xff, 0xff, 0xff, 0x7f]] as [[UInt8]] {
            var filter = HeaderBlockFilter(expectsPreface: false)
            var bytes = Self.frame(.headers, flags: 0, [0x01] + length + [1, 2, 3])
            bytes.withUnsafeMutableBytes { bytes in
                var position = 0
                while position < bytes.count, !filter.isBeyond { position = filter.next(in: bytes, from: position) }
            }
            #expect(filter.isBeyond)
        }
    }

    @Test("It tells how much of a header block has come, until the block has ended, and looks at no other frame")
    func blockBytes() {
        var filter = HeaderBlockFilter(expectsPreface: true)
        func pass(_ bytes: [UInt8]) -> Int {
            var bytes = bytes
            bytes.withUnsafeMutableBytes { bytes in
                var position = 0
                while position < bytes.count { position = filter.next(in: bytes, from: position) }
            }
            return filter.blockBytes
        }
        let long = [0x01] + string(70_000)
        #expect(pass(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)) == 0)
        #expect(pass(Self.frame(.data, flags: 4, Array(long.prefix(16_000)))) == 0)
        #expect(pass(Self.frame(.headers, flags: 0, Array(long.prefix(100)))) == 100)
        let rest = Self.frame(.continuation, flags: 4, Array(long.dropFirst(100).prefix(100)))
        #expect(pass(Array(rest.dropLast())) == 199)
        #expect(pass([0]) == 0)
        // After a block's end within a field nghttp2 reads no more; the next one begins anew here.
        #expect(pass(Self.frame(.headers, flags: 4, [0x82])) == 0)
        #expect(!filter.isReplacing)
    }
}

private func length(_ count: Int, huffman: Bool = false) -> [UInt8] {
    let flag: UInt8 = huffman ? 128 : 0
    guard count >= 127 else { return [flag | UInt8(count)] }
    var bytes = [flag | 127]
    var rest = count - 127
    while rest >= 128 {
        bytes.append(UInt8(rest & 127) | 128)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}

private func string(_ count: Int, huffman: Bool = false) -> [UInt8] {
    length(count, huffman: huffman) + [UInt8](repeating: UInt8(ascii: "y"), count: count)
}

/// A field as it is encoded.
struct Field: Equatable {
    /// The representation's first byte, without the index.
    var kind: UInt8
    /// 0: the name is spelled out.
    var index: Int
    var nameBytes = 0
    var value: Value?

    struct Value: Equatable {
        var bytes: Int
        var isHuffman = false
    }
}

/// A long string, between other fields, and what is to be there in its place.
struct LongString: CustomTestStringConvertible {
    let testDescription: String
    let field: [UInt8]
    let fields: [Field]

    static let filler = Field(kind: 0, index: 15, value: .init(bytes: 16_379))

    static let all: [LongString] = [
        LongString(
            testDescription: "a value that is one byte too long", field: [0x0f, 0x10] + string(65_537),
            fields: [Field(kind: 0, index: 31, value: .init(bytes: 32_769)), filler, filler]),
        LongString(
            testDescription: "a value for the table", field: [0x40] + string(2) + string(70_000),
            fields: [Field(kind: 0x40, index: 0, nameBytes: 2, value: .init(bytes: 20_848)), filler, filler, filler]),
        LongString(
            testDescription: "a value in Huffman's code", field: [0x10] + string(2) + string(130_000, huffman: true),
            fields: [Field(kind: 0x10, index: 0, nameBytes: 2, value: .init(bytes: 31_696, isHuffman: true))]
                + [Field](repeating: filler, count: 6)),
        LongString(
            testDescription: "a path", field: [0x44] + string(70_000),
            fields: [Field(kind: 0x40, index: 4, value: .init(bytes: 20_848)), filler, filler, filler]),
        LongString(
            testDescription: "a length with zeros at its end",
            field: [0x01] + length(70_000).dropLast() + [length(70_000).last! | 128, 128, 0]
                + [UInt8](repeating: 9, count: 70_000),
            fields: [Field(kind: 0, index: 1, value: .init(bytes: 20_848)), filler, filler, filler]),
        LongString(
            testDescription: "a name", field: [0x40] + string(70_000) + string(5),
            fields: [
                Field(kind: 0x40, index: 0, nameBytes: 20_848, value: .init(bytes: 16_379)), filler, filler,
                Field(kind: 0, index: 15, value: .init(bytes: 5)),
            ]),
        LongString(
            testDescription: "a name and its value", field: [0x00] + string(65_537) + string(65_537),
            fields: [
                Field(kind: 0, index: 0, nameBytes: 32_769, value: .init(bytes: 16_379)), filler,
                Field(kind: 0, index: 15, value: .init(bytes: 32_769)), filler, filler,
            ]),
    ]
}
