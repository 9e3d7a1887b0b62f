internal import InferenceMessages
internal import StrictJSON

/// Puts the pieces of calls together, for a protocol whose calls are whole. Memory: one call.
struct WholeToolCalls: Sendable {
    struct Call: Sendable {
        /// Its place among the calls of the turn, from 0.
        let index: UInt32
        let id: String
        let name: String
        /// A JSON object; one line, once the call is whole.
        var arguments: String
    }

    /// The call that pieces are added to.
    private var open: Call?
    private var begun: UInt32 = 0

    /// Takes the next piece; returns the call before it where it begins another. Throws 502 for pieces that break
    /// hearth.v1.
    mutating func take(_ piece: Hearth_V1_ToolCallPiece) throws(HTTPFailure) -> Call? {
        if !piece.id.isEmpty {
            guard piece.index == begun, !piece.name.isEmpty else { throw .broken("a tool call out of its order") }
            let before = try end(mayBeCut: false)
            begun &+= 1
            open = Call(index: piece.index, id: piece.id, name: piece.name, arguments: piece.arguments)
            return before
        }
        guard piece.index == open?.index, piece.name.isEmpty else {
            throw .broken("a piece of a tool call that is not open")
        }
        open?.arguments += piece.arguments
        return nil
    }

    /// No more pieces come of the call that is open: returns it; nil where there is none, or where it is not whole and
    /// may be cut. Throws 502 where it may not.
    mutating func end(mayBeCut: Bool) throws(HTTPFailure) -> Call? {
        guard var call = open else { return nil }
        open = nil
        let arguments = [UInt8](call.arguments.utf8)
        do throws(JSONObjectScan.Flaw) {
            var scan = JSONObjectScan()
            try scan.read(arguments)
            try scan.end()
        } catch {
            if mayBeCut { return nil }
            throw .broken("a tool call whose arguments' text \(error.sentence)")
        }
        // Line ends stand between the values only, and the text of an answer is one line.
        call.arguments = String(decoding: arguments.filter { $0 >= 0x20 }, as: UTF8.self)
        return call
    }
}
