internal import ByteBuffer
internal import GzipCodec
internal import HTTP2Connection

/// Takes a body apart into messages: a flag byte, a length of four bytes, the message (grpc/doc/PROTOCOL-HTTP2.md,
/// "Length-Prefixed-Message"). Pure.
///
/// A message that lies whole in what was just received is handed out where it lies; only what is cut is copied and kept.
/// Between `begin` and `end` the received bytes must stay where they are.
struct MessageReader: ~Copyable {
    /// What the header said of the messages that are marked as compressed.
    var encoding = MessageEncoding.identity
    /// Whether the message that was handed out last was compressed on the way.
    private(set) var isCompressed = false
    /// Bytes that may still be decompressed before a compressed message has to wait, perhaps in the middle.
    private var decompressionBytesLeft = Int.max
    /// A whole message was not handed out, because nothing more may be decompressed now.
    private(set) var isWaiting = false
    /// What was decompressed, in vain or not, since somebody set this to zero.
    var decompressedBytes = 0
    var decompressedMessages = 0

    /// The longest message that is accepted, decompressed.
    var messageBytesMax: Int
    /// Of a message that has begun to be decompressed, and is not whole.
    private var decompression: GzipDecompression?
    /// That message as far as it is, or the one that was handed out last, if it was compressed.
    private var decompressed = ByteQueue()
    /// What came before and is not handed out yet; it goes before `current`.
    private var held = ByteQueue()
    /// Bytes at the front of `held` that the last `next` handed out.
    private var handedOut = 0
    /// The received bytes, from `position` on.
    private var current = UnsafeRawBufferPointer(start: nil, count: 0)
    private var position = 0

    init(messageBytesMax: Int) { self.messageBytesMax = messageBytesMax }

    /// Bytes that are kept between receptions, as they came.
    var heldBytes: Int { held.count }

    /// Bytes that are kept of a message that is not decompressed to its end.
    var decompressedHeldBytes: Int { decompressed.count }

    /// From now on so many bytes may be decompressed.
    mutating func allowDecompression(ofBytes count: Int) {
        decompressionBytesLeft = count
        isWaiting = false
    }

    mutating func begin(_ received: UnsafeRawBufferPointer) {
        current = received
        position = 0
    }

    /// The next whole message, valid until the next call; nil when there is none yet.
    mutating func next() throws(Status) -> UnsafeRawBufferPointer? {
        if isCompressed { dropDecompressed() }
        // While something is handed out of `held`, it is not empty.
        return held.isEmpty ? try nextReceived() : try nextHeld()
    }

    @inline(__always)
    private mutating func nextReceived() throws(Status) -> UnsafeRawBufferPointer? {
        let rest = current.count &- position
        guard rest >= MessagePrefix.byteCount else { return nil }
        let length = try messageByteCount(current, at: position)
        guard rest &- MessagePrefix.byteCount >= length else { return nil }
        let start = position &+ MessagePrefix.byteCount
        let message = UnsafeRawBufferPointer(rebasing: current[start..<start &+ length])
        guard isCompressed else {
            position = start &+ length
            return message
        }
        guard try decompress(message) else { return nil }
        position = start &+ length
        return decompressed.bytes
    }

    /// Keeps what was not handed out.
    mutating func end() {
        if isCompressed { dropDecompressed() }
        dropHandedOut()
        held.append(UnsafeRawBufferPointer(rebasing: current[position...]))
        current = UnsafeRawBufferPointer(start: nil, count: 0)
        position = 0
    }

    mutating func removeAll() {
        current = UnsafeRawBufferPointer(start: nil, count: 0)
        position = 0
        handedOut = 0
        held.removeAll()
        dropDecompressed()
    }

    /// Whether the message is whole; otherwise it goes on where it was, when more may be decompressed.
    private mutating func decompress(_ message: UnsafeRawBufferPointer) throws(Status) -> Bool {
        isWaiting = decompressionBytesLeft <= 0
        if !isWaiting {
            do throws(Gzip.Failure) {
                isWaiting = try !goOnDecompressing(message)
            } catch {
                throw refusal(of: error)
            }
        }
        // What it says of the message that is handed out is not this one's.
        if isWaiting { isCompressed = false }
        return !isWaiting
    }

    private mutating func goOnDecompressing(_ message: UnsafeRawBufferPointer) throws(Gzip.Failure) -> Bool {
        var running: GzipDecompression
        if let begun = decompression.take() {
            running = begun
        } else {
            running = try GzipDecompression(byteCountMax: messageBytesMax)
            decompressedMessages += 1
        }
        let before = decompressed.count
        let wanted = decompressionBytesLeft
        // What comes before a failure was decompressed too.
        defer {
            decompressionBytesLeft -= decompressed.count - before
            decompressedBytes += decompressed.count - before
        }
        let isDone = try running.goOn(message, atLeast: wanted) { decompressed.append($0) }
        if !isDone { decompression = consume running }
        return isDone
    }

    private func refusal(of failure: Gzip.Failure) -> Status {
        switch failure {
        case .corrupt: Status(.internalError, "a message that is marked as gzip is none")
        case .tooLarge:
            .limitMet(
                "messageBytesMax",
                "a compressed message holds more than the \(messageBytesMax) bytes that are accepted",
                subject: "message")
        }
    }

    private mutating func dropDecompressed() {
        isCompressed = false
        decompression = nil
        decompressed.removeAll()
    }

    private mutating func dropHandedOut() {
        held.removeFirst(handedOut)
        handedOut = 0
    }

    /// A message that began earlier: takes from what was just received no more than it lacks.
    private mutating func nextHeld() throws(Status) -> UnsafeRawBufferPointer? {
        dropHandedOut()
        if held.isEmpty { return try nextReceived() }
        guard take(upTo: MessagePrefix.byteCount) else { return nil }
        let length = try messageByteCount(held.bytes, at: 0)
        let whole = MessagePrefix.byteCount + length
        guard take(upTo: whole) else { return nil }
        let message = UnsafeRawBufferPointer(rebasing: held.bytes[MessagePrefix.byteCount..<whole])
        if isCompressed {
            guard try decompress(message) else { return nil }
        }
        handedOut = whole
        return isCompressed ? decompressed.bytes : message
    }

    /// Moves bytes from `current` to `held` until so many are held; whether there are.
    private mutating func take(upTo count: Int) -> Bool {
        let lacking = count - held.count
        guard lacking > 0 else { return true }
        let taken = min(lacking, current.count - position)
        held.append(UnsafeRawBufferPointer(rebasing: current[position..<position + taken]))
        position += taken
        return taken == lacking
    }

    /// The length in a prefix that is there whole, if it is one that is accepted; notes the flag.
    @inline(__always)
    private mutating func messageByteCount(_ bytes: UnsafeRawBufferPointer, at position: Int) throws(Status) -> Int {
        let flag = bytes[position]
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: position &+ 1, as: UInt32.self)))
        guard flag == 0 || (flag == 1 && encoding != .identity), length <= messageBytesMax else {
            throw refusal(flag: flag, length: length)
        }
        isCompressed = flag != 0
        return length
    }

    private func refusal(flag: UInt8, length: Int) -> Status {
        switch (flag, encoding) {
        case (0, _), (1, .gzip):
            .limitMet(
                "messageBytesMax", "a message has \(length) bytes; at most \(messageBytesMax) are accepted",
                subject: "message")
        case (1, .identity):
            Status(.internalError, "a message is marked as compressed, but the call names no grpc-encoding")
        default: Status(.internalError, "a message begins with the flag \(flag); only 0 and 1 are defined")
        }
    }
}
