package import WireFormat

/// The tokens of one decode step, in place: iterates over the runs of a `TokenBatch` message without copying them.
/// Valid as long as the bytes that it borrows.
package struct TokenBatchView {
    private var reader: WireReader
    private var unknown = UnknownFields()
    /// How many runs were visited.
    package private(set) var runs = 0

    /// `bytes` is the content of a `hearth.backend.v1.TokenBatch`.
    package init(_ bytes: UnsafeRawBufferPointer) { reader = WireReader(bytes) }

    /// The bytes that were not visited yet.
    package var remaining: UnsafeRawBufferPointer { reader.remaining }

    /// The next run, or nil after the last. On the agent's side use `BackendConversation.next`, which also checks the
    /// run against the credit. Throws for more bytes of unknown fields than the contract allows.
    @inline(__always)
    package mutating func next() throws(WireError) -> TokenRunView? {
        while true {
            let start = reader.position
            guard let field = try reader.next() else { return nil }
            if field.number == 1, field.type == .bytes {
                runs &+= 1
                return try TokenRunView(decoding: try reader.bytes())
            }
            try unknown.skip(field, from: start, in: &reader, max: ContractLimits.unknownBytesMax)
        }
    }
}
