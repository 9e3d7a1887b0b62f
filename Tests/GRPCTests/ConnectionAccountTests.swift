import GzipCodec
import LinuxSystem
import Testing

@testable import GRPC

struct ConnectionAccountTests {
    private let now = Monotonic(nanoseconds: 5_000_000_000)

    @Test("What is decompressed is taken from the second's share, and each message costs something")
    func decompression() {
        var limits = Limits()
        limits.decompressedBytesPerSecondMax = 100_000
        var account = ConnectionAccount(limits)
        var left = account.decompressionLeft(at: now)
        #expect(left == 100_000)
        account.decompressed(50_000, messages: 1, at: now)
        left = account.decompressionLeft(at: now)
        #expect(left == 50_000 - ConnectionAccount.decompressionBeginBytes)
        account.decompressed(0, messages: 100, at: now)
        left = account.decompressionLeft(at: now)
        #expect(left == 0)
        left = account.decompressionLeft(at: now.advanced(milliseconds: 5_000))
        #expect(left > 0)
        left = account.decompressionLeft(at: now.advanced(milliseconds: 60_000))
        #expect(left == 100_000)
    }

    @Test("A compressed message is refused unread once nothing is left, and one that begins in time is read")
    func reader() throws {
        let zeros = try #require(Gzip.compress([UInt8](repeating: 0, count: 10_000)))
        let count = UInt32(zeros.count)
        let framed =
            [1, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + zeros
        var reader = MessageReader(messageBytesMax: 1 << 20)
        reader.encoding = .gzip
        reader.decompressionBytesLeft = 1
        (framed + framed).withUnsafeBytes { bytes in
            reader.begin(bytes)
            let first = try? reader.next()
            #expect(first?.count == 10_000)
            var refusal: Status?
            do throws(Status) { _ = try reader.next() } catch { refusal = error }
            #expect(refusal?.code == .resourceExhausted)
            #expect(refusal?.limit == "decompressedBytesPerSecondMax")
        }
        let (decompressed, messages) = (reader.decompressedBytes, reader.decompressedMessages)
        #expect(decompressed == 10_000)
        #expect(messages == 1)
        reader.removeAll()
    }

    @Test("A message that is refused for its size has cost what was decompressed of it")
    func refused() throws {
        let zeros = try #require(Gzip.compress([UInt8](repeating: 0, count: 1_000_000)))
        let count = UInt32(zeros.count)
        let framed =
            [1, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + zeros
        var reader = MessageReader(messageBytesMax: 100_000)
        reader.encoding = .gzip
        var refusal: Status?
        framed.withUnsafeBytes { bytes in
            reader.begin(bytes)
            do throws(Status) { _ = try reader.next() } catch { refusal = error }
        }
        #expect(refusal?.limit == "messageBytesMax")
        let decompressed = reader.decompressedBytes
        #expect(decompressed > 80_000 && decompressed <= 100_000)
        reader.removeAll()
    }
}
