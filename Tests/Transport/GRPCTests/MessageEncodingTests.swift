import GzipCodec
import HTTP2Connection
import Testing

@testable import GRPC

struct MessageEncodingTests {
    private static let long = [UInt8](repeating: 9, count: 5_000)

    private static func framed(_ message: [UInt8], flag: UInt8) -> [UInt8] {
        [flag, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    }

    private static func read(_ bytes: [UInt8], pieces: Int = .max, limit: Int = 10_000) throws
        -> [(message: [UInt8], isCompressed: Bool)]
    {
        var reader = MessageReader(messageBytesMax: limit)
        reader.encoding = .gzip
        var messages: [(message: [UInt8], isCompressed: Bool)] = []
        for start in stride(from: 0, to: bytes.count, by: min(pieces, bytes.count)) {
            try bytes[start..<min(bytes.count, start + min(pieces, bytes.count))].withUnsafeBytes { piece in
                reader.begin(piece)
                while let message = try reader.next() { messages.append((Array(message), reader.isCompressed)) }
                reader.end()
            }
        }
        #expect(reader.heldBytes == 0)
        return messages
    }

    @Test("Compressed and plain messages follow each other in any order, however cut", arguments: [1, 3, 7, 64, 9_999])
    func mixed(_ pieces: Int) throws {
        let compressed = Self.framed(try #require(Gzip.compress(Self.long)), flag: 1)
        let empty = Self.framed(try #require(Gzip.compress([])), flag: 1)
        let plain = Self.framed([1, 2], flag: 0)
        let found = try Self.read(compressed + plain + empty + compressed + compressed + plain, pieces: pieces)
        #expect(found.map(\.message) == [Self.long, [1, 2], [], Self.long, Self.long, [1, 2]])
        #expect(found.map(\.isCompressed) == [true, false, true, true, true, false])
    }

    @Test("A message above the limit once it is decompressed is RESOURCE_EXHAUSTED; one that is no gzip INTERNAL")
    func refusals() throws {
        let compressed = Self.framed(try #require(Gzip.compress(Self.long)), flag: 1)
        #expect(try Self.read(compressed, limit: 5_000).count == 1)
        var error = #expect(throws: Status.self) { try Self.read(compressed, limit: 4_999) }
        #expect(error?.code == .resourceExhausted)
        error = #expect(throws: Status.self) { try Self.read(Self.framed([1, 2, 3], flag: 1)) }
        #expect(error?.code == .internalError)
        error = #expect(throws: Status.self) { try Self.read(Self.framed([], flag: 1)) }
        #expect(error?.code == .internalError)
        error = #expect(throws: Status.self) { try Self.read(Self.framed([1], flag: 2)) }
        #expect(error?.code == .internalError)
    }

    private func isCompressed(_ bytes: [UInt8], _ encoding: MessageEncoding = .gzip, wants: Bool?) -> Bool {
        EncodedMessage(bytes, encoding, wantsCompression: wants, compressedBytesMin: 1_024).isCompressed
    }

    @Test("A message is compressed where that saves something, or its sender says so, and the encoding is gzip")
    func choice() {
        #expect(isCompressed(Self.long, wants: nil))
        #expect(!isCompressed(Self.long, wants: false))
        #expect(!isCompressed(Self.long, .identity, wants: true))
        #expect(!isCompressed([1, 2, 3], wants: nil))
        #expect(isCompressed([1, 2, 3], wants: true))
        var state: UInt32 = 1
        let noise = (0..<5_000).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        #expect(!isCompressed(noise, wants: nil))
    }

    @Test("Gzip is accepted when the client lists it, in one field or several")
    func accepted() {
        #expect(MessageEncoding.acceptsGzip(["identity, deflate, gzip"]))
        #expect(MessageEncoding.acceptsGzip(["identity", "gzip"]))
        #expect(MessageEncoding.acceptsGzip(["gzip"]))
        for fields in [[], [""], ["identity"], ["xgzip"], ["gzip2,identity"]] {
            #expect(!MessageEncoding.acceptsGzip(fields))
        }
    }

    @Test("A server that answers in an encoding that is not known is INTERNAL")
    func unknownAnswer() {
        let encoding = { HTTP2Header("grpc-encoding", $0) }
        #expect(ResponseStatus.of(headers: ResponseHead.accepted + [encoding("snappy")])?.code == .internalError)
        #expect(ResponseStatus.of(headers: ResponseHead.accepted + [encoding("gzip")]) == nil)
        #expect(ResponseStatus.encoding(of: ResponseHead.accepted + [encoding("gzip")]) == .gzip)
        #expect(ResponseStatus.encoding(of: ResponseHead.accepted) == .identity)
    }
}
