internal import ByteBuffer
internal import GzipCodec
internal import HTTP2Connection

/// Splits a body into messages: a flag byte, a length of four bytes, the message (grpc/doc/PROTOCOL-HTTP2.md,
/// "Length-Prefixed-Message"). Pure.
///
/// A message that is whole in the bytes just received is handed out in place; only an incomplete one is copied and
/// kept. Between `begin` and `end` the received bytes must stay where they are.
struct MessageReader: ~Copyable {
    /// The encoding that the header names for messages that are marked as compressed.
    var encoding = MessageEncoding.identity
    /// Whether the message that was handed out last was compressed on the way.
    private(set) var isCompressed = false
    /// Bytes that may still be decompressed before a compressed message has to wait, perhaps in the middle.
    private var decompressionBytesLeft = Int.max
    /// A whole message has come but waits, because nothing more may be decompressed now.
    private(set) var isWaiting = false
    /// The bytes decompressed, successfully or not, since the user last set this to zero.
    var decompressedBytes = 0
    var decompressedMessages = 0

    /// The longest message that is accepted, decompressed.
    var messageBytesMax: Int
    /// The decompression of a message that is not complete yet.
    private var decompression: GzipDecompression?
    /// The decompressed part of that message, or the message that was handed out last, if it was compressed.
    private var decompressed = ByteQueue()
    /// Bytes received earlier and not handed out yet; they precede `current`.
    private var held = ByteQueue()
    /// Bytes at the front of `held` that the last `next` handed out.
    private var handedOut = 0
    /// The received bytes, from `position` on.
    private var current = UnsafeRawBufferPointer(start: nil, count: 0)
    private var position = 0

    init(messageBytesMax: Int) { self.messageBytesMax = messageBytesMax }

    /// The received bytes that are kept until more come.
    var heldBytes: Int { held.count }

    /// The decompressed bytes that are kept of an incomplete message.
    var decompressedHeldBytes: Int { decompressed.count }

    /// Sets how many bytes may be decompressed from now on.
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

    /// Keeps the bytes that were not handed out.
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

    /// Whether the message is complete; if not, the next call goes on where this one stopped, when more may be
    /// decompressed.
    private mutating func decompress(_ message: UnsafeRawBufferPointer) throws(Status) -> Bool {
        isWaiting = decompressionBytesLeft <= 0
        if !isWaiting {
            do throws(Gzip.Failure) {
                isWaiting = try !goOnDecompressing(message)
            } catch {
                throw refusal(of: error)
            }
        }
        // `isCompressed` was set for the message that waits, not for the one that is handed out.
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
        // Bytes that came out before a failure count too.
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

    /// Continues a message that began earlier: takes from the bytes just received only what it lacks.
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

    /// Moves bytes from `current` to `held` until `count` are held; false when there are not enough.
    private mutating func take(upTo count: Int) -> Bool {
        let lacking = count - held.count
        guard lacking > 0 else { return true }
        let taken = min(lacking, current.count - position)
        held.append(UnsafeRawBufferPointer(rebasing: current[position..<position + taken]))
        position += taken
        return taken == lacking
    }

    /// The length in a complete prefix; throws if it is not accepted. Notes the flag.
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
