internal import CZlib

/// One message at a time as gzip (RFC 1952), whole. Pure; keeps nothing between messages.
package enum Gzip {
    /// Why bytes do not decompress.
    package enum Failure: Error, Hashable {
        /// They are not exactly one gzip member: something else, cut short, or with something behind it.
        case corrupt
        /// There would be more than was asked for.
        case tooLarge
    }

    /// What is decompressed at a time: a message that is too large costs no more memory than that beyond its limit.
    private static let pieceByteCount = 16 << 10
    /// zlib.h, `deflateInit2`: a window of 2^15 bytes, "add 16 to windowBits" for gzip.
    private static let windowBits: Int32 = 15 + 16

    /// Hands out what the bytes hold, piece by piece, each valid during the call; at most so many bytes in all.
    package static func decompress(
        _ bytes: UnsafeRawBufferPointer, byteCountMax: Int, _ take: (UnsafeRawBufferPointer) -> Void
    ) throws(Failure) {
        guard let byteCount = UInt32(exactly: bytes.count) else { throw .tooLarge }
        var stream = z_stream()
        let streamByteCount = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(&stream, windowBits, ZLIB_VERSION, streamByteCount) == Z_OK else { throw .corrupt }
        defer { inflateEnd(&stream) }
        stream.next_in = bytes.bindMemory(to: UInt8.self).baseAddress
        stream.avail_in = byteCount
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceByteCount, alignment: 1)
        defer { piece.deallocate() }
        var left = byteCountMax
        while true {
            stream.next_out = piece.bindMemory(to: UInt8.self).baseAddress
            stream.avail_out = UInt32(pieceByteCount)
            let result = inflate(&stream, Z_NO_FLUSH)
            guard result == Z_OK || result == Z_STREAM_END else { throw .corrupt }
            let made = pieceByteCount - Int(stream.avail_out)
            guard made <= left else { throw .tooLarge }
            left -= made
            if made > 0 { take(UnsafeRawBufferPointer(rebasing: piece[..<made])) }
            if result == Z_STREAM_END { break }
        }
        guard stream.avail_in == 0 else { throw .corrupt }
    }

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
