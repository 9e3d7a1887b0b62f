import EventLoop
import HTTP2Connection
import Testing

struct FrameScannerTests {
    private static let headers = [
        FrameHeader(length: 3, type: 1, flags: 0x4, stream: 1),
        FrameHeader(length: 0, type: 4, flags: 0, stream: 0),
        FrameHeader(length: 0x01_0203, type: 0, flags: 0x9, stream: 0x7fff_ffff),
        FrameHeader(length: 20, type: 0xee, flags: 0xff, stream: 0x0102_0304),
        FrameHeader(length: 8, type: 6, flags: 1, stream: 0),
    ]

    private static func bytes(of header: FrameHeader, reserved: UInt8 = 0) -> [UInt8] {
        let stream = UInt32(header.stream)
        return [
            UInt8(header.length >> 16), UInt8(header.length >> 8 & 255), UInt8(header.length & 255), header.type,
            header.flags, UInt8(stream >> 24) | reserved, UInt8(stream >> 16 & 255), UInt8(stream >> 8 & 255),
            UInt8(stream & 255),
        ] + [UInt8](repeating: 0xff, count: header.length)
    }

    /// What a scanner finds in bytes that come in pieces of this size.
    private func scan(_ bytes: [UInt8], pieceBytes: Int, expectsPreface: Bool = false) -> [FrameHeader] {
        var scanner = FrameScanner(expectsPreface: expectsPreface)
        var found: [FrameHeader] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieceBytes))
            rest = rest.dropFirst(pieceBytes)
            piece.withUnsafeBytes { piece in
                var position = 0
                while let header = scanner.next(in: piece, at: &position) { found.append(header) }
                #expect(position == piece.count)
            }
        }
        return found
    }

    @Test("Every header is found, in pieces of any size", arguments: [1, 2, 3, 7, 8, 9, 10, 11, 1_000, 1_000_000])
    func pieces(pieceBytes: Int) {
        let bytes = Self.headers.flatMap { Self.bytes(of: $0) }
        #expect(scan(bytes, pieceBytes: pieceBytes) == Self.headers)
        let preface = [UInt8](repeating: 0, count: 24)
        #expect(scan(preface + bytes, pieceBytes: pieceBytes, expectsPreface: true) == Self.headers)
    }

    @Test("A header is found as soon as its last byte has come, and its position with it")
    func position() {
        let bytes = Self.headers[..<2].flatMap { Self.bytes(of: $0) }
        bytes.withUnsafeBytes { bytes in
            var scanner = FrameScanner(expectsPreface: false)
            var position = 0
            #expect(scanner.next(in: bytes, at: &position) == Self.headers[0])
            #expect(position == 9)
            #expect(scanner.next(in: bytes, at: &position) == Self.headers[1])
            #expect(position == 9 + 3 + 9)
            #expect(scanner.next(in: bytes, at: &position) == nil)
        }
        #expect(scan(Array(Self.bytes(of: Self.headers[4]).prefix(8)), pieceBytes: 100) == [])
    }

    @Test("The reserved bit of a stream's number is not looked at")
    func reservedBit() {
        #expect(scan(Self.bytes(of: Self.headers[0], reserved: 0x80), pieceBytes: 100) == [Self.headers[0]])
    }

    @Test("Flags mean what they mean for the frame's type")
    func flags() {
        func header(_ type: UInt8, _ flags: UInt8) -> FrameHeader {
            FrameHeader(length: 0, type: type, flags: flags, stream: 1)
        }
        for type: UInt8 in 0...255 {
            #expect(header(type, 0x1).endsStream == [0, 1].contains(type))
            #expect(header(type, 0x1).isAcknowledgement == [4, 6].contains(type))
            #expect(!header(type, 0xfe).endsStream)
            #expect(!header(type, 0xfe).isAcknowledgement)
            #expect((header(type, 0).kind == nil) == !(type <= 9 || type == 16))
        }
    }

    /// How many slices bytes are cut into, none of which may cost more than these steps, and the headers found.
    private func slices(_ bytes: [UInt8], steps: Int) -> (lengths: [Int], headers: [FrameHeader]) {
        var scanner = FrameScanner(expectsPreface: false)
        var lengths: [Int] = []
        var headers: [FrameHeader] = []
        bytes.withUnsafeBytes { bytes in
            var position = 0
            while position < bytes.count {
                let start = position
                var left = steps
                while let header = scanner.next(in: bytes, at: &position, within: &left) { headers.append(header) }
                lengths.append(position - start)
            }
        }
        return (lengths, headers)
    }

    @Test("Bytes are cut where what is in them may cost enough, and nothing is lost", arguments: [1, 7, 100, 5_000])
    func slices(steps: Int) {
        let bytes = Self.headers.flatMap { Self.bytes(of: $0) }
        let (lengths, headers) = slices(bytes, steps: steps)
        #expect(headers == Self.headers)
        #expect(lengths.reduce(0, +) == bytes.count)
        #expect(lengths.allSatisfy { $0 > 0 })
    }

    @Test("Each byte of a header block may be a field, other bytes are cheap, and each frame costs something")
    func costs() {
        func frame(_ type: UInt8, _ length: Int) -> [UInt8] {
            Self.bytes(of: FrameHeader(length: length, type: type, flags: 0, stream: 1))
        }
        let block = slices(frame(9, 10_000), steps: 300).lengths
        #expect(block.max().map { $0 <= FrameHeader.byteCount + 300 / WorkSteps.perHeaderField } == true)
        #expect(slices(frame(0, 10_000), steps: 300).lengths.count == 1)
        let frames = slices((0..<1_000).flatMap { _ in frame(6, 0) }, steps: 300).lengths
        #expect(frames.max().map { $0 <= FrameHeader.byteCount * (300 / WorkSteps.perFrame) } == true)
        let calls = slices((0..<100).flatMap { _ in frame(1, 0) }, steps: 300).lengths
        #expect(calls.max().map { $0 <= FrameHeader.byteCount * (300 / WorkSteps.perCall) } == true)
    }
}
