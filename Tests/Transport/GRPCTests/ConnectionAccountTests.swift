import GzipCodec
import LinuxSystem
import Testing

@testable import GRPC

struct ConnectionAccountTests {
    private let now = Monotonic(nanoseconds: 5_000_000_000)

    @Test("What is decompressed is taken from the second's share, and each message costs something")
    func decompression() throws {
        var limits = Limits()
        limits.decompressedBytesPerSecondMax = 100_000
        var account = ConnectionAccount(limits, of: .origin(.unknown), at: now)
        var left = account.decompressionLeft(at: now)
        #expect(left == 100_000)
        account.decompressed(cost: ConnectionAccount.costOfDecompressing(50_000, messages: 1), at: now)
        left = account.decompressionLeft(at: now)
        #expect(left == 50_000 - ConnectionAccount.decompressionBeginBytes)
        account.decompressed(cost: ConnectionAccount.costOfDecompressing(0, messages: 100), at: now)
        left = account.decompressionLeft(at: now)
        #expect(left == 0)
        let found = account.millisecondsUntilDecompression(at: now)
        let wait = try #require(found)
        let before = account.decompressionLeft(at: now.advanced(milliseconds: wait - 2))
        #expect(before == 0)
        left = account.decompressionLeft(at: now.advanced(milliseconds: wait))
        #expect(left > 0)
        left = account.decompressionLeft(at: now.advanced(milliseconds: 5_000))
        #expect(left > 0)
        left = account.decompressionLeft(at: now.advanced(milliseconds: 60_000))
        #expect(left == 100_000)
    }

    @Test("A connection is kept by the calls that count, and it is known since when there have been none")
    func keeping() {
        var account = ConnectionAccount(Limits(), of: .origin(.unknown), at: now)
        #expect(account.keepingCalls == 0 && account.unkeptSince == now)
        account.keepingCallBegan()
        account.keepingCallBegan()
        account.keepingCallEnded(at: now.advanced(milliseconds: 1))
        #expect(account.keepingCalls == 1 && account.unkeptSince == now)
        account.keepingCallEnded(at: now.advanced(milliseconds: 2))
        #expect(account.keepingCalls == 0 && account.unkeptSince == now.advanced(milliseconds: 2))
    }

    @Test("A compressed message waits unread once nothing is left, is read later, and one that begins in time is read")
    func reader() throws {
        let zeros = try #require(Gzip.compress([UInt8](repeating: 0, count: 10_000)))
        let count = UInt32(zeros.count)
        let framed =
            [1, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + zeros
        let plain: [UInt8] = [0, 0, 0, 0, 1, 7]
        var reader = MessageReader(messageBytesMax: 1 << 20)
        reader.encoding = .gzip
        reader.allowDecompression(ofBytes: 1)
        (framed + framed).withUnsafeBytes { bytes in
            reader.begin(bytes)
            let first = try? reader.next()
            #expect(first?.count == 10_000)
            let second = try? reader.next()
            #expect(second == nil)
            reader.end()
        }
        let (decompressed, messages) = (reader.decompressedBytes, reader.decompressedMessages)
        #expect(decompressed == 10_000)
        #expect(messages == 1)
        let (isWaiting, held) = (reader.isWaiting, reader.heldBytes)
        #expect(isWaiting && held == framed.count)
        // From what was kept, too, and then with what comes behind it.
        plain.withUnsafeBytes { bytes in
            reader.begin(bytes)
            let still = try? reader.next()
            #expect(still == nil)
            reader.end()
            reader.allowDecompression(ofBytes: 1)
            reader.begin(UnsafeRawBufferPointer(start: nil, count: 0))
            let second = try? reader.next()
            #expect(second?.count == 10_000)
            let third = try? reader.next()
            #expect(third.map(Array.init) == [7])
            reader.end()
        }
        let (waitsNow, left) = (reader.isWaiting, reader.heldBytes)
        #expect(!waitsNow && left == 0)
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
