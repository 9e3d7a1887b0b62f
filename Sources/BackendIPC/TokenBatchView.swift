package import WireFormat

/// What one decode step gave, in place: walks the runs of a `TokenBatch` message without copying them. Valid as long
/// as the bytes that it borrows.
package struct TokenBatchView {
    private var reader: WireReader

    /// `bytes` is the content of a `hearth.backend.v1.TokenBatch`.
    package init(_ bytes: UnsafeRawBufferPointer) { reader = WireReader(bytes) }

    /// What was not visited yet.
    package var remaining: UnsafeRawBufferPointer { reader.remaining }

    /// The next run, or nil after the last. On the agent's side use `BackendConversation.next`, which also holds the run
    /// against the credit.
    package mutating func next() throws(WireError) -> TokenRunView? {
        while let field = try reader.next() {
            if field.number == 1, field.type == .bytes { return try TokenRunView(decoding: try reader.bytes()) }
            try reader.skip(field.type)
        }
        return nil
    }
}
