import BackendIPC
import LinuxSystem
import Testing
import WireFormat

@Suite("FrameBuffer")
struct FrameBufferTests {
    private func frame(_ payload: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(payload.count).bigEndian) { Array($0) } + payload
    }

    private func close(_ descriptor: consuming Descriptor) {}

    @Test("frames come out whole wherever the stream is cut")
    func cutAnywhere() throws {
        let payloads: [[UInt8]] = [[1], [2, 2], [UInt8](repeating: 3, count: 300), [4]]
        let stream = payloads.flatMap(frame)
        for cut in 1..<stream.count {
            var buffer = FrameBuffer(frameBytesMax: 1_000)
            var received: [[UInt8]] = []
            for piece in [stream[..<cut], stream[cut...]] {
                piece.withUnsafeBytes { buffer.append($0) }
                while let frame = try buffer.next() { received.append([UInt8](frame)) }
            }
            #expect(received == payloads)
            #expect(buffer.count == 0)
        }
    }

    @Test(
        "a length of 0 or above the limit is refused before its bytes come",
        arguments: [[0, 0, 0, 0], [0, 0, 4, 1], [0xff, 0xff, 0xff, 0xff]] as [[UInt8]])
    func lengths(bytes: [UInt8]) {
        var buffer = FrameBuffer(frameBytesMax: 1_024)
        bytes.withUnsafeBytes { buffer.append($0) }
        #expect(throws: ContractViolation.self) { _ = try buffer.next() }
    }

    @Test("a socket is read in bulk, long frames included, until its end")
    func socket() throws {
        let payloads = (0..<40).map { [UInt8](repeating: UInt8($0), count: $0 == 20 ? 3 << 20 : 1 + $0 * 1_000) }
        let stream = payloads.flatMap(frame)
        var received: [[UInt8]] = []
        try Descriptor.socketPair().take { writer, reader in
            var written = 0
            var buffer = FrameBuffer(frameBytesMax: 4 << 20)
            // One thread on both ends: a piece that always fits is written, then read.
            while written < stream.count {
                let piece = stream[written..<min(written + 50_000, stream.count)]
                try piece.withUnsafeBytes { try writer.writeAll($0) }
                written += piece.count
                while case .readable = try Poll.wait(reader.raw, for: .readable, nanoseconds: 0) {
                    _ = try buffer.read(from: reader.raw)
                    while let frame = try buffer.next() { received.append([UInt8](frame)) }
                }
            }
            close(consume writer)
            #expect(try buffer.read(from: reader.raw) == .end)
        }
        #expect(received == payloads)
    }

    @Test("a non-blocking socket with nothing to read says so")
    func wouldBlock() throws {
        try Descriptor.socketPair().take { first, second in
            try second.setNonblocking(true)
            var buffer = FrameBuffer(frameBytesMax: 1_024)
            #expect(try buffer.read(from: second.raw) == .wouldBlock)
            _ = first.raw
        }
    }
}
