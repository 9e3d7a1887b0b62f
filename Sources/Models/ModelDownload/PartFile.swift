internal import BaseEncodings
internal import Cryptography
internal import Glibc
internal import LinuxSystem
internal import ModelPull

/// The folder of models, and the folder in it of what is on its way.
final class PullFolder {
    let path: String
    let models: Descriptor
    let parts: Descriptor
    /// To whom root gives what it makes here: whoever the folder belongs to, such as the service's user. Nil for others.
    let owner: FileOwner?

    /// The name of the folder of parts: the owner of the folder of models and root share one, and every other user who may
    /// write there has one alone.
    let partsName: String
    /// Whether what is put there is for its group, as in a service's folder (chmod(2), S_ISGID).
    let isForGroup: Bool

    /// Makes the folders where they are missing.
    init(_ path: String) throws {
        self.path = path
        do throws(LinuxError) {
            try Self.make(path)
            models = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
            let folder = try FileFacts(of: models, name: path)
            isForGroup = folder.permissions & 0o2000 != 0
            owner = SystemUser.currentIsRoot ? FileOwner(user: folder.owner, group: folder.group) : nil
            let isShared = SystemUser.currentIsRoot || folder.owner == SystemUser.currentID
            partsName = isShared ? ".pull" : ".pull-\(SystemUser.currentID)"
            let isNew = mkdirat(models.raw, partsName, 0o700) == 0
            guard isNew || errno == EEXIST else { throw LinuxError.last("make \(path)/\(partsName)") }
            parts = try models.openBelow(partsName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            if isNew { try Self.give(parts, to: owner) }
            let facts = try FileFacts(of: parts, name: partsName)
            // Whoever can write there decides what is in a part after it was verified.
            guard facts.permissions & 0o022 == 0, [SystemUser.currentID, 0, owner?.user].contains(facts.owner) else {
                throw LinuxError(code: EPERM, operation: "use \(path)/\(partsName), to which others can write")
            }
        } catch {
            throw PullFailure(
                .refused,
                "models cannot be put into \(path): \(error); make it a folder that \(SystemUser.currentName) can "
                    + "write to, or name another with --models")
        }
    }

    private static func make(_ path: String) throws(LinuxError) {
        var place = ""
        for component in path.split(separator: "/") {
            let above = place
            place += "/\(component)"
            if mkdir(place, 0o755) == 0 {
                // A folder that root makes in a service's own is the service's, too.
                if SystemUser.currentIsRoot, let owner = FileOwner(of: above.isEmpty ? "/" : above) {
                    let path = place
                    try checked("give \(path) to its owner") { lchown(path, owner.user, owner.group) }
                }
            } else if errno != EEXIST, access(place, X_OK) != 0 {
                throw LinuxError.last("make \(place)")
            }
        }
    }

    static func give(_ file: borrowing Descriptor, to owner: FileOwner?) throws(LinuxError) {
        guard let owner else { return }
        let raw = file.raw
        try checked("give a file to its owner") { fchown(raw, owner.user, owner.group) }
    }

    /// The bytes that this user may still write.
    var freeBytes: UInt64? {
        var facts = statvfs()
        guard fstatvfs(models.raw, &facts) == 0 else { return nil }
        return UInt64(facts.f_bavail) &* UInt64(facts.f_frsize)
    }

    /// Throws where there is no room for so many bytes more.
    func demandRoom(_ bytes: UInt64, for file: String) throws(PullFailure) {
        guard let free = freeBytes, free < bytes else { return }
        throw PullFailure(
            .refused,
            "\(file) needs \(ByteCount.text(bytes)) more, and the disk of \(path) has \(ByteCount.text(free)) free: make room there, "
                + "or name another folder with --models")
    }

    /// The size and the SHA-256 of a file of models, by reading all of it; nil: there is none.
    func digest(of name: String, ofSize size: UInt64?, progress: (UInt64, UInt64) -> Void) throws -> [UInt8]? {
        let raw = openat(models.raw, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        if raw < 0, errno == ENOENT { return nil }
        guard raw >= 0 else { throw LinuxError.last("open \(path)/\(name)") }
        let file = Descriptor(owning: raw)
        let facts = try FileFacts(of: file, name: name)
        // Another size is another content.
        guard facts.kind == .regular, size == nil || facts.byteCount == size else { return [] }
        return try FileReading.digest(of: file, byteCount: facts.byteCount, progress: progress)
    }

    /// Gives a part its name in the folder of models, unless a file has that.
    func place(_ part: PartFile, as name: String) throws {
        do throws(LinuxError) {
            try part.file.flush("write \(path)/\(name)")
            try models.renameBelow(from: parts, part.name, as: name)
            try models.flush("flush \(path)")
        } catch {
            if error.code == EEXIST { throw PullFolder.clash(path, name) }
            throw PullFailure(.refused, "\(path)/\(name) cannot be written: \(error)")
        }
        unlinkat(parts.raw, part.journalName, 0)
    }

    static func clash(_ path: String, _ name: String) -> PullFailure {
        PullFailure(
            .refused,
            "\(path)/\(name) is there already with other contents: name this model with --as, or remove that file")
    }
}

/// Digests of files.
enum FileReading {
    private static let pieceBytes = 1 << 20

    /// Reads so many bytes of an open file from an offset; `take` gets them. Throws where the file is shorter.
    static func read(
        _ file: borrowing Descriptor, from offset: UInt64, count: UInt64,
        _ take: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 4_096)
        defer { buffer.deallocate() }
        var done: UInt64 = 0
        while done < count {
            try Interruption.check()
            let wanted = Int(min(UInt64(buffer.count), count - done))
            let raw = file.raw
            let read = try checked("read what has arrived") {
                pread(raw, buffer.baseAddress, wanted, off_t(offset + done))
            }
            guard read > 0 else { throw LinuxError(code: EIO, operation: "read what has arrived") }
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<read]))
            done += UInt64(read)
        }
    }

    static func digest(
        of file: borrowing Descriptor, byteCount: UInt64, progress: (UInt64, UInt64) -> Void
    ) throws -> [UInt8] {
        var hash = SHA256()
        var done: UInt64 = 0
        try read(file, from: 0, count: byteCount) { bytes in
            hash.update(bytes)
            done += UInt64(bytes.count)
            progress(done, byteCount)
        }
        return hash.finalize()
    }
}

/// A file on its way, and the journal of the ranges of it that have arrived. No other process writes to it meanwhile.
final class PartFile {
    let file: Descriptor
    let name: String
    let journalName: String
    private let journal: Descriptor
    private let folder: Descriptor

    /// Opens a part, or makes it; throws where another pull of the same bytes is under way.
    init(_ name: String, in folder: PullFolder) throws {
        self.name = "\(name).part"
        journalName = "\(name).ranges"
        self.folder = try folder.parts.duplicate()
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW
        while true {
            let file = try folder.parts.openBelow(self.name, flags, mode: 0o644)
            guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else {
                throw PullFailure(.temporary, "another pull of the same model into \(folder.path) is under way")
            }
            // The pull before may have given it its name since it was opened.
            var facts = stat()
            guard fstatat(folder.parts.raw, self.name, &facts, AT_SYMLINK_NOFOLLOW) == 0,
                try FileFacts(of: file, name: self.name).inode == UInt64(facts.st_ino)
            else { continue }
            guard facts.st_mode & S_IFMT == S_IFREG, facts.st_nlink == 1 else {
                throw PullFailure(.refused, "\(folder.path)/\(folder.partsName)/\(self.name) is no part; remove it")
            }
            self.file = file
            break
        }
        journal = try folder.parts.openBelow(journalName, flags | O_APPEND, mode: 0o600)
        if folder.isForGroup {
            // Whatever the umask: the service whose folder it is reads it by its group.
            let raw = file.raw
            try checked("let the group read a part") { fchmod(raw, 0o644) }
        }
        try PullFolder.give(file, to: folder.owner)
        try PullFolder.give(journal, to: folder.owner)
    }

    /// What the journal says has arrived, as far as the file has so many bytes.
    func ranges() throws -> ArrivedRanges {
        let size = try FileFacts(of: file, name: name).byteCount
        try journal.rewind()
        guard let bytes = try? FileBytes.read(journal, max: ArrivedRanges.journalBytesMax, name: journalName) else {
            try forgetAll()
            return ArrivedRanges()
        }
        var ranges = ArrivedRanges(journal: bytes)
        for piece in ranges.pieces where piece.end > size { ranges.remove(piece) }
        // A line that was not written whole must not become one with the next.
        if bytes.last.map({ $0 != UInt8(ascii: "\n") }) == true { try journal.writeAll([UInt8(ascii: "\n")]) }
        return ranges
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(LinuxError) {
        var written = 0
        while written < bytes.count {
            let raw = file.raw
            written += try checked("write to the disk") {
                pwrite(raw, bytes.baseAddress! + written, bytes.count - written, off_t(offset) + off_t(written))
            }
        }
    }

    func note(_ piece: ArrivedRanges.Piece) throws(LinuxError) {
        try journal.writeAll(Array(ArrivedRanges.line(piece).utf8))
    }

    /// Removes what has arrived.
    func remove() {
        unlinkat(folder.raw, name, 0)
        unlinkat(folder.raw, journalName, 0)
    }

    /// Begins anew.
    func forgetAll() throws(LinuxError) {
        let (journal, file) = (journal.raw, file.raw)
        try checked("empty the journal") { ftruncate(journal, 0) }
        try checked("empty the part") { ftruncate(file, 0) }
    }

    /// Cuts what lies behind its end.
    func truncate(to size: UInt64) throws(LinuxError) {
        let raw = file.raw
        try checked("cut the part") { ftruncate(raw, off_t(size)) }
    }

    /// Has it read from the disk, and not from memory, next (posix_fadvise(2)).
    func forgetCache() throws(LinuxError) {
        try file.flush("write to the disk")
        _ = posix_fadvise(file.raw, 0, 0, POSIX_FADV_DONTNEED)
    }
}
