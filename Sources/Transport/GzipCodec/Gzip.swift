internal import CZlib

/// Messages as gzip (RFC 1952), each a member of its own. Pure.
package enum Gzip {
    /// Why bytes do not decompress.
    package enum Failure: Error, Hashable {
        /// The bytes are not exactly one gzip member: they are something else, truncated, or followed by more.
        case corrupt
        /// The result would have more bytes than allowed.
        case tooLarge
    }

    /// zlib.h, `deflateInit2`: a window of 2^15 bytes, "add 16 to windowBits" for gzip.
    fileprivate static let windowBits: Int32 = 15 + 16

    /// The bytes as one gzip member; nil when zlib cannot, for want of memory or because there are 4 GiB or more.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        guard let byteCount = UInt32(exactly: bytes.count) else { return nil }
        var stream = z_stream()
        let streamByteCount = Int32(MemoryLayout<z_stream>.size)
        // zlib.h: the default of memLevel is 8.
        let began = deflateInit2_(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, streamByteCount
        )
        guard began == Z_OK else { return nil }
        defer { deflateEnd(&stream) }
        guard let bound = UInt32(exactly: deflateBound(&stream, UInt(byteCount))) else { return nil }
        var result = Z_OK
        let compressed = bytes.withUnsafeBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: Int(bound)) { output, count in
                stream.next_in = input.baseAddress
                stream.avail_in = byteCount
                stream.next_out = output.baseAddress
                stream.avail_out = bound
                result = deflate(&stream, Z_FINISH)
                count = Int(bound - stream.avail_out)
            }
        }
        return result == Z_STREAM_END ? compressed : nil
    }
}

/// One gzip member, decompressed in any number of pieces. Owns zlib's state, some 40 KiB.
package struct GzipDecompression: ~Copyable {
    /// The piece that is decompressed at a time: a message that is too large takes at most this much memory beyond its
    /// limit.
    private static let pieceByteCount = 16 << 10

    // On the heap: zlib's state points back to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let byteCountMax: Int
    private var taken = 0
    private var made = 0

    /// `byteCountMax`: the most bytes that may come out.
    package init(byteCountMax: Int) throws(Gzip.Failure) {
        self.byteCountMax = byteCountMax
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let streamByteCount = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(stream, Gzip.windowBits, ZLIB_VERSION, streamByteCount) == Z_OK else { throw .corrupt }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Continues with the member, given as the same bytes each time, until at least that many more bytes have come out
    /// or it has ended. Passes them on in pieces, each valid during the call. Returns whether the member has ended.
    package mutating func goOn(
        _ bytes: UnsafeRawBufferPointer, atLeast wanted: Int, _ take: (UnsafeRawBufferPointer) -> Void
    ) throws(Gzip.Failure) -> Bool {
        guard let left = UInt32(exactly: bytes.count - taken) else { throw .tooLarge }
        stream.pointee.next_in = bytes.bindMemory(to: UInt8.self).baseAddress.map {
            UnsafePointer($0 + taken)
        }
        stream.pointee.avail_in = left
        defer { taken = bytes.count - Int(stream.pointee.avail_in) }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceByteCount, alignment: 1)
        defer { piece.deallocate() }
        let before = made
        while made - before < wanted {
            stream.pointee.next_out = piece.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_out = UInt32(Self.pieceByteCount)
            let result = inflate(stream, Z_NO_FLUSH)
            guard result == Z_OK || result == Z_STREAM_END else { throw .corrupt }
            let count = Self.pieceByteCount - Int(stream.pointee.avail_out)
            guard count <= byteCountMax - made else { throw .tooLarge }
            made += count
            if count > 0 { take(UnsafeRawBufferPointer(rebasing: piece[..<count])) }
            if result == Z_STREAM_END {
                guard stream.pointee.avail_in == 0 else { throw .corrupt }
                return true
            }
        }
        return false
    }
}
