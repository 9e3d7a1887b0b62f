internal import BaseEncodings

/// Which bytes of a file have arrived, and their digests as they did: the journal beside a part. Ranges do not overlap. Pure.
package struct ArrivedRanges: Equatable, Sendable {
    package struct Piece: Equatable, Sendable {
        package let offset: UInt64
        /// Bytes; never 0.
        package let count: UInt64
        /// SHA-256, 32 bytes.
        package let digest: [UInt8]

        package var end: UInt64 { offset + count }

        package init(offset: UInt64, count: UInt64, digest: [UInt8]) {
            (self.offset, self.count, self.digest) = (offset, count, digest)
        }
    }

    /// A piece is closed when it has so many bytes, or its transfer pauses or ends.
    package static let pieceBytes: UInt64 = 4 << 20
    /// The longest journal that is read.
    package static let journalBytesMax = 64 << 20

    /// By their offsets.
    package private(set) var pieces: [Piece] = []

    package init() {}

    package var byteCount: UInt64 { pieces.reduce(0) { $0 + $1.count } }
    /// The end of the last piece.
    package var end: UInt64 { pieces.last?.end ?? 0 }

    /// Takes a piece that has arrived; what overlaps it is no longer known.
    package mutating func add(_ piece: Piece) {
        guard piece.count > 0 else { return }
        if piece.offset >= end { return pieces.append(piece) }
        pieces.removeAll { $0.offset < piece.end && piece.offset < $0.end }
        pieces.insert(piece, at: pieces.firstIndex { $0.offset > piece.offset } ?? pieces.count)
    }

    package mutating func remove(_ piece: Piece) { pieces.removeAll { $0 == piece } }

    /// The first bytes that are missing: from an offset to the next piece, or to the end; nil: none of them is. The end of the
    /// gap is nil where neither a piece follows nor the size is known.
    package func gap(size: UInt64?) -> (from: UInt64, to: UInt64?)? {
        var expected: UInt64 = 0
        for piece in pieces {
            if piece.offset > expected { return (expected, piece.offset) }
            expected = piece.end
        }
        if let size { return expected < size ? (expected, size) : nil }
        return (expected, nil)
    }

    /// Its line of the journal.
    package static func line(_ piece: Piece) -> String {
        "\(piece.offset) \(piece.count) \(hexadecimal(piece.digest))\n"
    }

    /// Reads a journal. Of ranges that overlap the later counts. A line that was not written whole is passed over.
    package init(journal: [UInt8]) {
        for line in journal.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count == 3, let offset = Self.number(words[0]), let count = Self.number(words[1]), count > 0,
                let digest = fromHexadecimal(words[2]), digest.count == 32
            else { continue }
            add(Piece(offset: offset, count: count, digest: digest))
        }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard let number = UInt64(String(decoding: digits, as: UTF8.self)), number < 1 << 46 else { return nil }
        return number
    }
}

/// When a transfer that broke off is tried again. Pure.
package struct Patience: Equatable, Sendable {
    /// Attempts in a row that brought nothing.
    package private(set) var vainAttempts = 0
    package static let vainAttemptsMax = 6

    package init() {}

    /// Takes the end of an attempt; returns the milliseconds to wait before the next, nil: there is to be none.
    /// - Parameter asked: the seconds that the server asked to wait (Retry-After), if it did.
    package mutating func next(broughtSomething: Bool, asked: UInt64? = nil) -> UInt64? {
        vainAttempts = broughtSomething ? 0 : vainAttempts + 1
        guard vainAttempts < Self.vainAttemptsMax else { return nil }
        if let asked { return min(asked, 120) * 1_000 }
        return broughtSomething ? 100 : 1_000 << UInt64(vainAttempts - 1)
    }
}
