internal import StrictJSON
package import WireFormat

/// A `hearth.v1.ToolCallPiece`: what a backend sends of the calls that its model writes, and how the agent checks it where it
/// lies. The agent passes the bytes on as they are.
package struct ToolCallPiece: Equatable, Sendable {
    /// The longest name of a tool, in bytes.
    package static let nameBytesMax = 128
    package static let idBytesMax = 128
    /// The most calls of one sequence.
    package static let callsMax: UInt32 = 256

    /// Which call of the sequence, from 0.
    package var index: UInt32
    /// Both are empty in all pieces of a call but the first.
    package var id: [UInt8]
    package var name: [UInt8]
    /// More of its arguments, whole UTF-8 scalars.
    package var arguments: [UInt8]

    package init(index: UInt32, id: [UInt8] = [], name: [UInt8] = [], arguments: [UInt8]) {
        self.index = index
        self.id = id
        self.name = name
        self.arguments = arguments
    }

    /// Whether a tool may have this name.
    package static func isName(_ name: String) -> Bool {
        PlainName.isValid(name, bytesMax: nameBytesMax)
    }

    /// The size of a `hearth.v1.ToolCallPieces` with this piece alone; those of several follow one another.
    package var encodedSize: Int { WireSize.field(1, byteCount: contentSize) }

    private var contentSize: Int {
        var size = WireSize.field(1, varint: UInt64(index))
        if !id.isEmpty { size += WireSize.field(2, byteCount: id.count) }
        if !name.isEmpty { size += WireSize.field(3, byteCount: name.count) }
        if !arguments.isEmpty { size += WireSize.field(4, byteCount: arguments.count) }
        return size
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, byteCount: contentSize)
        writer.field(1, varint: UInt64(index))
        if !id.isEmpty { writer.field(2, bytes: id) }
        if !name.isEmpty { writer.field(3, bytes: name) }
        if !arguments.isEmpty { writer.field(4, bytes: arguments) }
    }

    /// Calls `body` for each of the pieces, until it returns false. Throws for what is malformed, or not UTF-8.
    package static func visit(
        _ pieces: UnsafeRawBufferPointer, _ body: (ToolCallPiece) -> Bool
    ) throws(WireError) {
        var reader = WireReader(pieces)
        while let field = try reader.next() {
            guard field.number == 1, field.type == .bytes else {
                try reader.skip(field.type)
                continue
            }
            guard body(try ToolCallPiece(decoding: try reader.bytes())) else { return }
        }
    }

    private init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init(index: 0, arguments: [])
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): index = try reader.uint32()
            case (2, .bytes): id = try Self.text(&reader, field: 2)
            case (3, .bytes): name = try Self.text(&reader, field: 3)
            case (4, .bytes): arguments = try Self.text(&reader, field: 4)
            default: try reader.skip(field.type)
            }
        }
    }

    private static func text(_ reader: inout WireReader, field: Int) throws(WireError) -> [UInt8] {
        let bytes = try reader.bytes()
        guard UTF8Text.isValid(bytes) else { throw .notUTF8(field: field) }
        return Array(bytes)
    }
}

/// The calls of one sequence so far, against which its next pieces are checked.
package struct ToolCallProgress: Sendable {
    /// How many have begun.
    private var begun: UInt32 = 0
    /// The arguments of the last one.
    private var arguments = JSONObjectScan()

    package init() {}

    /// Whether there is no call, or the arguments of the last one are a whole JSON object.
    var isWhole: Bool { begun == 0 || (try? arguments.end()) != nil }

    /// What is wrong with the pieces of a run, as the end of "the sequence 0 sent"; nil where they go on with the calls.
    /// `names`: the tools of its request that may be called.
    mutating func flaw(in pieces: UnsafeRawBufferPointer, names: [String]) -> String? {
        var found: String?
        do throws(WireError) {
            try ToolCallPiece.visit(pieces) { piece in
                found = flaw(in: piece, names: names)
                return found == nil
            }
        } catch {
            return "malformed tool calls: \(error)"
        }
        return found
    }

    private mutating func flaw(in piece: ToolCallPiece, names: [String]) -> String? {
        if piece.index == begun {
            guard isWhole else { return "a tool call before the arguments of the one before it were whole" }
            guard begun < ToolCallPiece.callsMax else { return "more than \(ToolCallPiece.callsMax) tool calls" }
            guard (1...ToolCallPiece.idBytesMax).contains(piece.id.count) else {
                return "a tool call whose id has \(piece.id.count) bytes; 1 to \(ToolCallPiece.idBytesMax)"
            }
            guard names.contains(where: { $0.utf8.elementsEqual(piece.name) }) else {
                return "a tool call that names none of the tools of its request"
            }
            begun += 1
            arguments = JSONObjectScan()
        } else {
            guard piece.index + 1 == begun else {
                return "a piece of the tool call \(piece.index), and the next is \(begun)"
            }
            guard piece.id.isEmpty, piece.name.isEmpty else { return "the id or the name of a tool call twice" }
        }
        do throws(JSONObjectScan.Flaw) {
            try arguments.read(piece.arguments)
            return nil
        } catch {
            return "arguments of a tool call whose text \(error.sentence)"
        }
    }
}
