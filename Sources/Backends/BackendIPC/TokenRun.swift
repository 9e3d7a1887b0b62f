package import WireFormat

/// The tokens of one sequence in one step, as the backend encodes them, and how the sequence ended if this is its last
/// run.
package struct TokenRun: WireMessage {
    package let view: TokenRunView
    package let finish: Finish?

    package init(_ view: TokenRunView, finish: Finish? = nil) {
        self.view = view
        self.finish = finish
    }

    package var encodedSize: Int {
        var size = WireSize.field(1, varint: UInt64(view.sequence))
        if view.packedTokenIDs.count > 0 { size += WireSize.field(2, byteCount: view.packedTokenIDs.count) }
        if view.text.count > 0 { size += WireSize.field(3, byteCount: view.text.count) }
        if let finish { size += WireSize.field(4, message: finish) }
        size += view.rare.encodedSize
        return size
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(view.sequence))
        if view.packedTokenIDs.count > 0 { writer.field(2, bytes: view.packedTokenIDs) }
        if view.text.count > 0 { writer.field(3, bytes: view.text) }
        if let finish { writer.field(4, message: finish) }
        view.rare.encode(to: &writer)
    }

    /// Valid as long as `bytes`.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        view = try TokenRunView(decoding: bytes)
        finish = view.finish
    }
}
