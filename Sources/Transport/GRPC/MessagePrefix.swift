/// The prefix of each message of a body: a flag that says whether it is compressed, and its length
/// (grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
package enum MessagePrefix {
    package static let byteCount = 5

    /// Writes the prefix of a message of `messageByteCount` bytes into the first five of `buffer`.
    @inline(__always)
    package static func write(
        _ buffer: UnsafeMutableRawBufferPointer, messageByteCount: Int, isCompressed: Bool = false
    ) {
        buffer[0] = isCompressed ? 1 : 0
        buffer.storeBytes(
            of: UInt32(truncatingIfNeeded: messageByteCount).bigEndian, toByteOffset: 1, as: UInt32.self)
    }

    /// The bytes of the message that the prefix at the beginning of `buffer` announces; `buffer` holds all five.
    @inline(__always)
    package static func messageByteCount(_ buffer: UnsafeRawBufferPointer) -> Int {
        Int(UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    }
}
