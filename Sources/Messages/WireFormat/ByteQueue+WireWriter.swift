public import ByteBuffer

extension ByteQueue {
    /// Appends exactly `byteCount` bytes of a message, which `write` writes in place.
    @inlinable
    public mutating func encode(byteCount: Int, _ write: (inout WireWriter) -> Void) {
        append(byteCount: byteCount) { memory in
            var writer = WireWriter(memory)
            write(&writer)
            precondition(writer.remaining == 0, "a message is smaller than its computed size")
        }
    }

    /// Appends one varint: for lists that are packed before their length is known.
    @inlinable
    public mutating func append(varint value: UInt64) {
        encode(byteCount: WireSize.varint(value)) { $0.varint(value) }
    }
}
