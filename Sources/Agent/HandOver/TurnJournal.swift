internal import Glibc
package import LinuxSystem
internal import Synchronization

/// A record in a memory file, which another process reads when this one has died, at whatever instruction that was.
///
/// The record is written in pieces, whose bytes follow each other. Appending copies a piece behind the committed ones, and
/// then commits it by storing one number: a reader finds all committed pieces, whole, and nothing of the one that was being
/// written. There are two places for the record. When the one in use is full, the record is written anew, shorter, into
/// the other one, and the same store commits it and switches; the memory of the first is given back.
///
/// The file begins with a page of numbers, in the machine's own order: the mark, the version, and the bytes of each place;
/// behind 64 bytes, what is committed, twice the number of bytes and one more if they are in the second place. The places
/// follow. The file has its whole size at once, and takes memory only where something was written; `limit` says how much
/// of a place is used before it is written anew, and grows with the record.
///
/// Used by one thread.
package final class TurnJournal {
    static let headBytes = 4096
    private static let committedPlace = 64
    /// "HTRNJRNL".
    private static let mark: UInt64 = 0x4c4e_524a_4e52_5448
    private static let version: UInt64 = 1
    /// What a place is used for at least: as much as is not worth being given back.
    static let leastBytes = 64 << 10
    /// The most that the record of any journal may have.
    package static let recordBytesMax = 512 << 20

    /// The most bytes that the record may have once it is written anew. A place has twice as many, so that what is
    /// written at least doubles before it is written anew.
    package let recordBytesMax: Int

    private let base: UnsafeMutableRawPointer
    private let placeBytes: Int
    private var isSecond = false
    /// Of the place in use: committed bytes, and how many there may be before the record is written anew.
    package private(set) var count = 0
    private var limit = TurnJournal.leastBytes
    /// False once a record was too long: a reader finds none, and nothing is written any more.
    package private(set) var isSound = true

    /// An empty record in a file that `makeFile` has made for records of so many bytes. It needs the descriptor no longer.
    package init(in file: borrowing Descriptor, recordBytesMax: Int) throws(LinuxError) {
        self.recordBytesMax = recordBytesMax
        placeBytes = Self.placeBytes(recordBytesMax)
        let fileBytes = Self.headBytes + 2 * placeBytes
        guard let base = mmap(nil, fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.raw, 0), base != MAP_FAILED
        else {
            throw LinuxError.last("map a journal")
        }
        self.base = base
        base.storeBytes(of: Self.mark, as: UInt64.self)
        base.storeBytes(of: Self.version, toByteOffset: 8, as: UInt64.self)
        base.storeBytes(of: UInt64(placeBytes), toByteOffset: 16, as: UInt64.self)
    }

    deinit { munmap(base, Self.headBytes + 2 * placeBytes) }

    /// A memory file for one journal. Nobody can make it shorter, which would end this process by SIGBUS when it writes.
    package static func makeFile(recordBytesMax: Int) throws(LinuxError) -> Descriptor {
        precondition(recordBytesMax > 0 && recordBytesMax <= Self.recordBytesMax)
        let file = try Descriptor.memoryFile("turn")
        try checked("size a journal") { ftruncate(file.raw, headBytes + 2 * placeBytes(recordBytesMax)) }
        // F_ADD_SEALS with F_SEAL_SEAL, F_SEAL_SHRINK and F_SEAL_GROW (linux/fcntl.h).
        try checked("seal a journal's size") { fcntl(file.raw, 1033, 0x1 | 0x2 | 0x4) }
        return file
    }

    /// Whole pages, which can be given back.
    private static func placeBytes(_ recordBytesMax: Int) -> Int {
        (max(recordBytesMax * 2, leastBytes) + 4095) & ~4095
    }

    private func start(ofSecond isSecond: Bool) -> Int { Self.headBytes + (isSecond ? placeBytes : 0) }

    /// All that was written before is in memory before this is, for whoever reads after this process has died.
    private func commit(_ value: UInt64) {
        (base + Self.committedPlace).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
            .store(value, ordering: .releasing)
    }

    /// Appends a piece. Where it has no room, `whole` gives the record with this piece, as short as it can be. Returns
    /// false where the record is too long, or was before: then it is of no use to anybody.
    @discardableResult
    package func append(_ piece: [UInt8], whole: () -> [UInt8]) -> Bool {
        piece.withUnsafeBytes { append($0, whole: whole) }
    }

    /// The same, of bytes that are borrowed.
    @discardableResult
    package func append(_ piece: UnsafeRawBufferPointer, whole: () -> [UInt8]) -> Bool {
        guard isSound else { return false }
        guard piece.count <= limit - count else { return rewrite(whole()) }
        if let bytes = piece.baseAddress {
            (base + start(ofSecond: isSecond) + count).copyMemory(from: bytes, byteCount: piece.count)
        }
        count += piece.count
        commit(UInt64(count) << 1 | (isSecond ? 1 : 0))
        return true
    }

    /// Writes the record anew into the other place. Returns false, and gives up, where it is too long.
    @discardableResult
    package func rewrite(_ whole: [UInt8]) -> Bool {
        guard isSound else { return false }
        guard whole.count <= recordBytesMax else {
            isSound = false
            commit(.max)
            giveBack(second: false, count: placeBytes)
            giveBack(second: true, count: placeBytes)
            return false
        }
        let used = count
        whole.withUnsafeBytes {
            if let bytes = $0.baseAddress {
                (base + start(ofSecond: !isSecond)).copyMemory(from: bytes, byteCount: whole.count)
            }
        }
        isSecond.toggle()
        count = whole.count
        commit(UInt64(count) << 1 | (isSecond ? 1 : 0))
        limit = min(placeBytes, max(Self.leastBytes, 2 * count))
        if used > Self.leastBytes { giveBack(second: !isSecond, count: used) }
        return true
    }

    /// Gives the memory of a place back (madvise(2), MADV_REMOVE); it reads as zero then.
    private func giveBack(second: Bool, count: Int) {
        madvise(base + start(ofSecond: second), (count + 4095) & ~4095, MADV_REMOVE)
    }
}

/// Why a journal cannot be read.
package struct JournalError: Error, Equatable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

// Reading.
extension TurnJournal {
    /// The record in a journal whose writer writes no more. Every number is checked, and the file is read, not mapped: it is
    /// another process's. Throws for a record of more than `max` bytes, and for one that was given up.
    package static func read(_ file: borrowing Descriptor, max: Int) throws(JournalError) -> [UInt8] {
        var facts = stat()
        guard fstat(file.raw, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            throw JournalError("a journal is no file")
        }
        let head = try read(file.raw, at: 0, count: committedPlace + 8)
        func number(at place: Int) -> UInt64 {
            head.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: UInt64.self) }
        }
        guard number(at: 0) == mark else { throw JournalError("a file is no journal") }
        guard number(at: 8) == version else { throw JournalError("a journal has version \(number(at: 8))") }
        let placeBytes = number(at: 16)
        guard placeBytes <= UInt64(2 * recordBytesMax + 4096),
            facts.st_size == off_t(headBytes) + 2 * off_t(placeBytes)
        else { throw JournalError("a journal of \(facts.st_size) bytes has places of \(placeBytes)") }
        let committed = number(at: committedPlace)
        guard committed != .max else { throw JournalError("a journal's record was too long, and given up") }
        let count = committed >> 1
        guard count <= placeBytes else {
            throw JournalError("a journal has \(count) bytes in a place of \(placeBytes)")
        }
        guard count <= UInt64(clamping: max) else {
            throw JournalError("a journal has \(count) bytes, more than \(max)")
        }
        return try read(file.raw, at: headBytes + (committed & 1 == 1 ? Int(placeBytes) : 0), count: Int(count))
    }

    private static func read(_ raw: CInt, at start: Int, count: Int) throws(JournalError) -> [UInt8] {
        var failure: JournalError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count {
                let more = pread(
                    raw, buffer.baseAddress! + initialized, count - initialized, off_t(start + initialized))
                if more < 0, errno == EINTR { continue }
                guard more > 0 else {
                    failure = JournalError("a journal ends after \(start + initialized) bytes, or cannot be read")
                    return
                }
                initialized += more
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
