internal import BaseEncodings
internal import Cryptography
internal import Glibc
internal import LinuxSystem
internal import ModelPull

/// Fetches one file into its part, over as many connections as it takes, until what lies on the disk has its digest.
final class BlobDownload {
    /// Asks for a range of the file, as `HTTPRequest.range`; passes on what comes, and returns the head of the answer, which is
    /// 200, 206 or 416.
    typealias Ask = (String?, @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void) throws -> HTTPHead

    /// A piece that has not so many bytes yet is closed after this time all the same, so that a process that is killed loses
    /// little.
    private static let pieceNanoseconds: UInt64 = 2_000_000_000
    /// How often a disk may give back other bytes than were written to it.
    private static let damagesMax = 3

    private let digest: [UInt8]
    private let name: String
    private let part: PartFile
    private let folder: PullFolder
    private let ask: Ask
    private let report: (PullEvent) -> Void
    private var ranges: ArrivedRanges
    /// Nil until the server says it.
    private(set) var size: UInt64?

    // The transfer that runs.
    private var hash = SHA256()
    private var pieceOffset: UInt64 = 0
    private var pieceCount: UInt64 = 0
    private var pieceBegan = Monotonic.awake()
    private var position: UInt64 = 0
    private var limit: UInt64?
    private var received: UInt64 = 0
    private var hasHead = false

    /// - Parameter size: nil where only the server knows it.
    init(
        digest: [UInt8], size: UInt64?, name: String, part: PartFile, folder: PullFolder,
        report: @escaping (PullEvent) -> Void, ask: @escaping Ask
    ) throws {
        (self.digest, self.size, self.name, self.part) = (digest, size, name, part)
        (self.folder, self.report, self.ask) = (folder, report, ask)
        ranges = try part.ranges()
        if let size, ranges.end > size { try forgetAll() }
    }

    var missingBytes: UInt64? { size.map { $0 - min($0, ranges.byteCount) } }

    /// Returns when the part is whole and has the digest. Throws `PullFailure`.
    func run() throws {
        var damages = 0
        var isSecond = false
        if !ranges.pieces.isEmpty {
            report(PullEvent(.note, "\(ByteCount.text(ranges.byteCount)) of \(name) are here already"))
        }
        while true {
            let (damaged, whole) = try readBack()
            if !damaged.isEmpty {
                damages += 1
                guard damages <= Self.damagesMax else {
                    throw PullFailure(
                        .refused,
                        "the disk of \(folder.path) gives back other bytes than were written to it: look at the disk, "
                            + "or name another folder with --models")
                }
            } else if size != nil, ranges.gap(size: size) == nil {
                if whole == digest { return }
                guard !isSecond else {
                    part.remove()
                    throw wrongDigest(whole)
                }
                try forgetAll()
                isSecond = true
                report(
                    PullEvent(
                        .note,
                        "\(name) has arrived with the digest sha256:\(hexadecimal(whole)), not "
                            + "sha256:\(hexadecimal(digest)); it is fetched once more"))
            }
            try fetchMissing()
            do throws(LinuxError) {
                if let size { try part.truncate(to: size) }
                try part.forgetCache()
            } catch {
                throw diskFailure(error)
            }
        }
    }

    private func wrongDigest(_ whole: [UInt8]) -> PullFailure {
        PullFailure(
            .refused,
            "\(name): what the server sends has the digest sha256:\(hexadecimal(whole)), twice, and not "
                + "sha256:\(hexadecimal(digest)): it is another file, or somebody changes it on its way; nothing is kept"
        )
    }
}

// What lies on the disk.
extension BlobDownload {
    /// Reads all that has arrived, and forgets what is not as it arrived; returns that, and the digest of what was read.
    private func readBack() throws -> (damaged: [ArrivedRanges.Piece], whole: [UInt8]) {
        var whole = SHA256()
        var damaged: [ArrivedRanges.Piece] = []
        let total = ranges.byteCount
        var done: UInt64 = 0
        for piece in ranges.pieces {
            var hash = SHA256()
            do {
                try FileReading.read(part.file, from: piece.offset, count: piece.count) { bytes in
                    hash.update(bytes)
                    whole.update(bytes)
                    done += UInt64(bytes.count)
                    report(PullEvent(.verifying, done: done, total: total))
                }
                if hash.finalize() == piece.digest { continue }
            } catch let error as LinuxError {
                // A sector that cannot be read is fetched again, too.
                guard error.code == EIO else { throw error }
            }
            damaged.append(piece)
        }
        if !damaged.isEmpty {
            let bytes = damaged.reduce(0) { $0 + $1.count }
            report(
                PullEvent(
                    .note,
                    "\(ByteCount.text(bytes)) of \(name) are not on the disk as they arrived; they are fetched again"))
        }
        for piece in damaged { ranges.remove(piece) }
        return (damaged, whole.finalize())
    }

    private func forgetAll() throws {
        try part.forgetAll()
        ranges = ArrivedRanges()
    }
}

// What comes from the server.
extension BlobDownload {
    private func fetchMissing() throws {
        var patience = Patience()
        while let gap = ranges.gap(size: size) {
            let before = received
            do {
                try fetch(gap.from, gap.to)
                guard received == before, ranges.gap(size: size) != nil else { continue }
                throw TransferFailure(description: "the server sends nothing", isTransient: true)
            } catch let failure as TransferFailure {
                guard failure.isTransient else { throw PullFailure(.refused, failure.description) }
                try wait(&patience, failure, broughtSomething: received > before)
            } catch let error as LinuxError {
                throw diskFailure(error)
            }
        }
    }

    private func wait(_ patience: inout Patience, _ failure: TransferFailure, broughtSomething: Bool) throws {
        guard let milliseconds = patience.next(broughtSomething: broughtSomething, asked: failure.retryAfter) else {
            throw PullFailure(
                .temporary,
                "\(failure.description); nothing came in \(Patience.vainAttemptsMax) attempts. What has arrived is "
                    + "kept: run the same command to go on")
        }
        if !broughtSomething {
            report(PullEvent(.note, "\(failure.description); trying again in \((milliseconds + 999) / 1_000) s"))
        }
        let end = Monotonic.awake().advanced(milliseconds: milliseconds)
        while Monotonic.awake() < end {
            try Interruption.check()
            usleep(50_000)
        }
    }

    /// Asks for the bytes from an offset to another, or to the end.
    private func fetch(_ from: UInt64, _ to: UInt64?) throws {
        beginPiece(at: from)
        position = from
        limit = to
        hasHead = false
        let isWhole = from == 0 && (to == nil || to == size)
        let range = isWhole ? nil : "\(from)-" + (to.map { "\($0 - 1)" } ?? "")
        do {
            let head = try ask(range) { [unowned self] head, bytes in try take(head, bytes) }
            try closePiece()
            if head.status == 416 { try nothingThere(head, from) }
            if size == nil, head.status == 200 || head.status == 206 {
                // A body without a length ends with its connection.
                size = position
            }
        } catch {
            try? closePiece()
            throw error
        }
    }

    /// The server has nothing from this offset on.
    private func nothingThere(_ head: HTTPHead, _ from: UInt64) throws {
        if size == nil, head.contentRange.size == from {
            size = from
        } else {
            throw PullFailure(.refused, "\(name): the server's file ends before byte \(from): it is another one")
        }
    }

    private func take(_ head: HTTPHead, _ bytes: UnsafeRawBufferPointer) throws {
        if !hasHead { try take(head) }
        guard position + UInt64(bytes.count) <= limit ?? .max else {
            throw TransferFailure(
                description: "\(name): the server sends more than there should be", isTransient: false)
        }
        try part.write(bytes, at: position)
        hash.update(bytes)
        position += UInt64(bytes.count)
        pieceCount += UInt64(bytes.count)
        received += UInt64(bytes.count)
        if pieceCount >= ArrivedRanges.pieceBytes || Monotonic.awake().since(pieceBegan) >= Self.pieceNanoseconds {
            try closePiece()
        }
        report(PullEvent(.downloading, done: ranges.byteCount + pieceCount, total: size ?? 0))
    }

    /// The first bytes of an answer come: where do they belong?
    private func take(_ head: HTTPHead) throws {
        hasHead = true
        if head.status == 206 {
            let (from, whole) = head.contentRange
            guard from == position else {
                throw TransferFailure(
                    description: "\(name): the server sends other bytes than it was asked for", isTransient: false)
            }
            try learn(whole)
        } else if position > 0 || !ranges.pieces.isEmpty {
            report(PullEvent(.note, "the server does not give parts of a file: \(name) is fetched from its beginning"))
            try forgetAll()
            position = 0
            limit = size
            beginPiece(at: 0)
            try learn(head.number("content-length"))
        } else {
            try learn(head.number("content-length"))
        }
    }

    private func learn(_ said: UInt64?) throws {
        guard let said else { return }
        if let size {
            guard said == size else {
                throw PullFailure(.refused, "\(name): the server's file has \(said) bytes, and \(size) were announced")
            }
            return
        }
        guard said < 1 << 46 else { throw PullFailure(.refused, "\(name): no file has \(said) bytes") }
        size = said
        limit = limit ?? said
        report(PullEvent(.found, name, total: said))
        try folder.demandRoom(said - min(said, ranges.byteCount), for: name)
    }

    private func beginPiece(at offset: UInt64) {
        hash = SHA256()
        pieceOffset = offset
        pieceCount = 0
        pieceBegan = .awake()
    }

    private func closePiece() throws {
        guard pieceCount > 0 else { return }
        let count = pieceCount
        var ended = SHA256()
        swap(&ended, &hash)
        let piece = ArrivedRanges.Piece(offset: pieceOffset, count: count, digest: ended.finalize())
        beginPiece(at: pieceOffset + count)
        ranges.add(piece)
        try part.note(piece)
    }

    private func diskFailure(_ error: LinuxError) -> PullFailure {
        guard [ENOSPC, EDQUOT, EFBIG].contains(error.code) else {
            return PullFailure(.refused, "\(folder.path): \(error)")
        }
        return PullFailure(
            .refused,
            "the disk of \(folder.path) is full; what has arrived is kept: make room, and run the same command to go on"
        )
    }
}
