import Testing

@testable import GzipCodec

struct GzipTests {
    private func decompress(_ bytes: [UInt8], max: Int = 1 << 20, atLeast: Int = .max) throws -> [UInt8] {
        var found: [UInt8] = []
        var running = try GzipDecompression(byteCountMax: max)
        while true {
            let before = found.count
            let isDone = try bytes.withUnsafeBytes { memory in
                try running.goOn(memory, atLeast: atLeast) { found += $0 }
            }
            #expect(isDone || found.count - before >= atLeast)
            if isDone { return found }
        }
    }

    private func failure(_ bytes: [UInt8], max: Int = 1 << 20) -> Gzip.Failure? {
        #expect(throws: Gzip.Failure.self) { try decompress(bytes, max: max) }
    }

    /// Bytes without much order, the same at each run.
    private func noise(_ count: Int) -> [UInt8] {
        var state: UInt32 = 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
    }

    @Test("What was compressed comes back", arguments: [0, 1, 100, 16_383, 16_384, 16_385, 300_000])
    func roundTrip(_ count: Int) throws {
        for bytes in [noise(count), [UInt8](repeating: 7, count: count)] {
            let compressed = try #require(Gzip.compress(bytes))
            #expect(try decompress(compressed) == bytes)
        }
        #expect(try #require(Gzip.compress([UInt8](repeating: 7, count: 300_000))).count < 3_000)
    }

    @Test("It comes back however little is asked for at a time", arguments: [1, 16_384, 20_000, 100_000])
    func inPieces(atLeast: Int) throws {
        for bytes in [noise(100_000), [UInt8](repeating: 7, count: 100_000), []] {
            #expect(try decompress(try #require(Gzip.compress(bytes)), atLeast: atLeast) == bytes)
        }
    }

    @Test("What another gzip wrote is read")
    func foreign() throws {
        // printf hello | gzip -n
        let bytes: [UInt8] = [
            0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0x86, 0xa6, 0x10, 0x36, 5,
            0, 0, 0,
        ]
        #expect(try decompress(bytes) == Array("hello".utf8))
    }

    @Test("Exactly as many bytes as are allowed pass, one more does not")
    func limit() throws {
        for count in [10, 16_384, 50_000] {
            let compressed = try #require(Gzip.compress(noise(count)))
            #expect(try decompress(compressed, max: count).count == count)
            #expect(failure(compressed, max: count - 1) == .tooLarge)
        }
    }

    @Test("A bomb is given up at the limit, not after it")
    func bomb() throws {
        let bomb = try #require(Gzip.compress([UInt8](repeating: 0, count: 50 << 20)))
        var taken = 0
        var running = try GzipDecompression(byteCountMax: 1 << 20)
        #expect(throws: Gzip.Failure.tooLarge) {
            _ = try bomb.withUnsafeBytes { memory in try running.goOn(memory, atLeast: .max) { taken += $0.count } }
        }
        #expect(taken <= 1 << 20)
    }

    @Test("Bytes that are cut, changed, followed by more, or something else are corrupt")
    func corrupt() throws {
        let whole = try #require(Gzip.compress(noise(1_000)))
        for count in 0..<whole.count { #expect(failure(Array(whole.prefix(count))) == .corrupt, "cut at \(count)") }
        for index in [0, 1, 2, whole.count / 2, whole.count - 5, whole.count - 1] {
            var changed = whole
            changed[index] ^= 0x55
            #expect(failure(changed) == .corrupt, "changed at \(index)")
        }
        #expect(failure(whole + [0]) == .corrupt)
        #expect(failure(whole + whole) == .corrupt)
        #expect(failure(Array("plain text".utf8)) == .corrupt)
    }
}
