internal import Glibc
internal import Synchronization

extension FileBytes {
    /// Replaces a file by these bytes, atomically: a reader gets the old bytes or the new ones, also after a power
    /// failure. The bytes first go to a file without a name (open(2), O_TMPFILE), so that a process which is ended
    /// meanwhile leaves nothing, or, where the file system has no such files, to a file with a temporary name beside
    /// it. Once the file is on the disk (fsync(2)) it takes the name (rename(2)). A symbolic link of that name is
    /// replaced, not followed.
    ///
    /// `mode` is that of the new file, whatever the umask. `owner` nil is this process's user and group. With
    /// `overwriting` false an existing file stays, and EEXIST is thrown (link(2)). With `isFlushed` false it does not
    /// wait for the disk, and after a loss of power the file may be empty or truncated.
    ///
    /// Throws for a file or folder that cannot be written, and for a full disk; then the earlier file is unchanged, and
    /// nothing else is left behind. Blocks as long as the disk takes.
    package static func replace(
        _ path: String, with bytes: [UInt8], mode: UInt32 = 0o600, owner: FileOwner? = nil, overwriting: Bool = true,
        isFlushed: Bool = true
    ) throws(LinuxError) {
        let (folderPath, name) = split(path)
        let folder = try Descriptor.open(folderPath, O_RDONLY | O_DIRECTORY)
        let temporary = ".\(name).\(getpid()).\(temporaryNumber.add(1, ordering: .relaxed).newValue).new"
        do throws(LinuxError) {
            // A process with this process id may have left it when it was ended in the middle of this.
            unlinkat(folder.raw, temporary, 0)
            // No reader opens it before it is whole: it has no name, or a temporary one.
            let file = try newFile(in: folder, name: temporary, mode: mode)
            var status = stat()
            try checked("look at the new file") { fstat(file.raw, &status) }
            let isNameless = status.st_nlink == 0
            if let owner { try checked("change the owner") { fchown(file.raw, owner.user, owner.group) } }
            try checked("change the mode") { fchmod(file.raw, mode) }
            try file.writeAll(bytes)
            if isFlushed { try checked("flush") { fsync(file.raw) } }
            // There is no system call that gives a nameless file a name in place of an existing file.
            if isNameless { try link(file, in: folder, as: overwriting ? temporary : name) }
            if overwriting {
                try checked("rename") { renameat(folder.raw, temporary, folder.raw, name) }
            } else if !isNameless {
                try checked("link") { linkat(folder.raw, temporary, folder.raw, name, 0) }
                unlinkat(folder.raw, temporary, 0)
            }
        } catch {
            unlinkat(folder.raw, temporary, 0)
            throw LinuxError(code: error.code, operation: operation(error, path, folderPath))
        }
        // Not every file system can flush a folder (EINVAL, fsync(2)); the file is there either way.
        if isFlushed, fsync(folder.raw) != 0, errno != EINVAL { throw LinuxError.last("flush the folder of \(path)") }
    }

    /// Makes a file without a name, or with this one where the file system has no such files, or there is no /proc to
    /// link it by.
    private static func newFile(
        in folder: borrowing Descriptor, name: String, mode: UInt32
    ) throws(LinuxError) -> Descriptor {
        if access("/proc/self/fd", X_OK) == 0 {
            // O_TMPFILE, a macro of macros; the same number on x86-64 and arm64 but for O_DIRECTORY (asm-generic/fcntl.h).
            let raw = openat(folder.raw, ".", O_WRONLY | 0o20000000 | O_DIRECTORY | O_CLOEXEC, mode)
            if raw >= 0 { return Descriptor(owning: raw) }
        }
        return try folder.openBelow(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
    }

    private static func link(
        _ file: borrowing Descriptor, in folder: borrowing Descriptor, as name: String
    ) throws(LinuxError) {
        let (number, place) = (file.raw, folder.raw)
        try checked("link") { linkat(AT_FDCWD, "/proc/self/fd/\(number)", place, name, AT_SYMLINK_FOLLOW) }
    }

    private static let temporaryNumber = Atomic<Int>(0)

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = path[..<slash]
        return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
    }

    private static func operation(_ error: LinuxError, _ path: String, _ folder: String) -> String {
        guard error.code == ENOSPC || error.code == EDQUOT else { return "write \(path)" }
        return "write \(path), on the disk that is mounted at \(mountPoint(of: folder))"
    }

    /// The highest folder on the same file system: where that is mounted (stat(2)).
    private static func mountPoint(of folder: String) -> String {
        guard let resolved = realpath(folder, nil) else { return folder }
        defer { free(resolved) }
        var place = String(cString: resolved)
        var status = stat()
        guard stat(place, &status) == 0 else { return place }
        while place != "/" {
            let above = split(place).folder
            var statusAbove = stat()
            guard stat(above, &statusAbove) == 0, statusAbove.st_dev == status.st_dev else { return place }
            place = above
        }
        return place
    }
}
