internal import HTTP2Connection

/// Takes a body apart into messages: a flag byte, a length of four bytes, the message (grpc/doc/PROTOCOL-HTTP2.md,
/// "Length-Prefixed-Message"). Pure.
///
/// A message that lies whole in what was just received is handed out where it lies; only the rest is copied and kept.
/// Between `begin` and `end` the received bytes must stay where they are.
struct MessageReader: ~Copyable {
    static let prefixByteCount = 5

    private let messageBytesMax: Int
    private var held = ByteQueue()
    /// The received bytes, when nothing was held before them.
    private var current = UnsafeRawBufferPointer(start: nil, count: 0)
    private var position = 0

    init(messageBytesMax: Int) { self.messageBytesMax = messageBytesMax }

    /// Bytes that are kept between receptions.
    var heldBytes: Int { held.count }

    mutating func begin(_ received: UnsafeRawBufferPointer) {
        if held.isEmpty {
            current = received
            position = 0
        } else {
            held.append(received)
        }
    }

    /// The next whole message, valid until the next call; nil when there is none yet.
    mutating func next() throws(Status) -> UnsafeRawBufferPointer? {
        // What was handed out of `held` before is dropped now that it has been used.
        if current.baseAddress == nil {
            held.removeFirst(position)
            position = 0
        }
        let bytes = current.baseAddress == nil ? held.bytes : current
        let rest = bytes.count - position
        guard rest >= MessageReader.prefixByteCount else { return nil }
        let flag = bytes[position]
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: position + 1, as: UInt32.self)))
        guard flag == 0 else {
            throw flag == 1
                ? Status(.internalError, "a message is marked as compressed, but the call names no grpc-encoding")
                : Status(.internalError, "a message begins with the flag \(flag); only 0 and 1 are defined")
        }
        guard length <= messageBytesMax else {
            throw Status(
                .resourceExhausted, "a message has \(length) bytes; at most \(messageBytesMax) are accepted")
        }
        guard rest - MessageReader.prefixByteCount >= length else { return nil }
        let start = position + MessageReader.prefixByteCount
        position = start + length
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
    }

    /// Keeps what was not handed out.
    mutating func end() {
        if current.baseAddress == nil {
            held.removeFirst(position)
        } else {
            held.append(UnsafeRawBufferPointer(rebasing: current[position...]))
            current = UnsafeRawBufferPointer(start: nil, count: 0)
        }
        position = 0
    }

    mutating func removeAll() {
        current = UnsafeRawBufferPointer(start: nil, count: 0)
        position = 0
        held.removeAll()
    }
}

/// Writes the five bytes before a message.
@inline(__always)
func writePrefix(_ buffer: UnsafeMutableRawBufferPointer, messageByteCount: Int) {
    buffer[0] = 0
    buffer.storeBytes(of: UInt32(truncatingIfNeeded: messageByteCount).bigEndian, toByteOffset: 1, as: UInt32.self)
}
