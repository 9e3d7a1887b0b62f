import HTTP2Connection

@testable import GRPC

/// An input is a byte that says how (bit 0: gzip is agreed on), one for the size of what is received at a time, and the body.
enum MessagesTarget {
    private static let messageBytesMax = 4_096

    static var seeds: [[UInt8]] {
        let messages: [[UInt8]] = [[], [1, 2, 3], Array(repeating: 7, count: 1_000), Array(0...255)]
        let plain = messages.flatMap {
            framed(EncodedMessage($0, .identity, wantsCompression: nil, compressedBytesMin: 0))
        }
        let packed = messages.flatMap {
            framed(EncodedMessage($0, .gzip, wantsCompression: true, compressedBytesMin: 0))
        }
        let bomb = framed(
            EncodedMessage(Array(repeating: 0, count: 1 << 20), .gzip, wantsCompression: true, compressedBytesMin: 0))
        return [
            [0, 3] + plain, [1, 0] + packed, [1, 7] + packed + plain, [1, 50] + bomb,
            [0, 1, 0, 0xff, 0xff, 0xff, 0xff],
        ]
    }

    private static func framed(_ message: EncodedMessage) -> [UInt8] {
        var prefix = [UInt8](repeating: 0, count: MessagePrefix.byteCount)
        prefix.withUnsafeMutableBytes {
            MessagePrefix.write($0, messageByteCount: message.bytes.count, isCompressed: message.isCompressed)
        }
        return prefix + message.bytes
    }

    private struct Reading: Equatable {
        var messages: [[UInt8]] = []
        var failure: Status?
    }

    static func run(_ input: [UInt8]) throws {
        var reader = InputReader(input)
        let encoding: MessageEncoding = reader.byte() & 1 == 0 ? .identity : .gzip
        let step = Int(reader.byte())
        let body = Array(reader.rest)
        let whole = try read(body, encoding, step: body.count)
        try promise(try read(body, encoding, step: max(step, 1)) == whole, "where a body is cut changes nothing")
        if body.count <= 256 {
            try promise(try read(body, encoding, step: 1) == whole, "nor does a cut after every byte")
        }
        let message = Array(body.prefix(messageBytesMax))
        for encoding in MessageEncoding.allCases {
            let sent = framed(EncodedMessage(message, encoding, wantsCompression: true, compressedBytesMin: 0))
            // What does not compress may come out longer than is accepted; it is refused by its length, not damaged.
            guard sent.count <= messageBytesMax else { continue }
            let received = try read(sent, encoding, step: max(step, 1))
            try promise(received == Reading(messages: [message]), "a message written is the message read")
        }
    }

    private static func read(_ body: [UInt8], _ encoding: MessageEncoding, step: Int) throws -> Reading {
        var messages = MessageReader(messageBytesMax: messageBytesMax)
        messages.encoding = encoding
        var reading = Reading()
        var rest = body[...]
        while !rest.isEmpty, reading.failure == nil {
            // Where received bytes lie for as long as the reader may look at them, and no longer.
            let received = UnsafeMutableRawBufferPointer.allocate(byteCount: min(step, rest.count), alignment: 1)
            defer { received.deallocate() }
            received.copyBytes(from: rest.prefix(step))
            rest = rest.dropFirst(step)
            messages.begin(UnsafeRawBufferPointer(received))
            do throws(Status) {
                while let message = try messages.next() { reading.messages.append(Array(message)) }
                messages.end()
            } catch {
                reading.failure = error
                messages.removeAll()
            }
            let most = messageBytesMax + MessagePrefix.byteCount
            try promise(messages.heldBytes < most, "\(messages.heldBytes) bytes are kept of less than a message")
            try promise(reading.messages.allSatisfy { $0.count <= messageBytesMax }, "a message is above the limit")
        }
        return reading
    }
}
