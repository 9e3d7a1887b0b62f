internal import BackendIPC

/// A piece of a tool call that the model writes.
public struct ToolCallPart: Equatable, Sendable {
    /// Which call of the sequence, from 0 without gaps; at most 256 calls. The parts of one call follow each other.
    public var index: Int
    /// Tells the call apart from those of other turns, 1 to 128 bytes; in its first part only, and empty in the others.
    public var id: String
    /// The tool, one of `GenerateRequest.tools`; in its first part only, and empty in the others.
    public var name: String
    /// More of the text of its arguments, which is a JSON object when all parts are put together.
    public var arguments: String

    public init(index: Int, id: String = "", name: String = "", arguments: String) {
        self.index = index
        self.id = id
        self.name = name
        self.arguments = arguments
    }

    /// An id that no other call has, as far as chance can tell: nine letters and digits, because some chat templates take no
    /// other length.
    public static func newID() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        return String((0..<9).map { _ in letters[Int.random(in: letters.indices)] })
    }

    /// The bytes that it takes of the text that a token or an ending may have, an upper bound.
    public var byteCount: Int { 24 + id.utf8.count + name.utf8.count + arguments.utf8.count }

    var piece: ToolCallPiece {
        ToolCallPiece(
            index: UInt32(clamping: index), id: Array(id.utf8), name: Array(name.utf8), arguments: Array(arguments.utf8)
        )
    }
}
