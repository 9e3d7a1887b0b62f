internal import Glibc

/// A file's metadata (inode(7)): its identity, owner, permissions and times. Two equal values mean the same file with
/// the same content, unless it was written within one tick, some milliseconds, of the clock that file times are taken
/// from; `wasQuiet` tells when that is excluded.
package struct FileFacts: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case regular, folder, symbolicLink, characterDevice, other
    }

    package let kind: Kind
    /// The lower twelve bits of the mode: set-id bits, the sticky bit and permissions.
    package let permissions: UInt32
    package let owner: UInt32
    package let group: UInt32
    /// The file's identity, whatever its path: device and inode.
    package let device: UInt64
    package let inode: UInt64
    package let byteCount: UInt64
    /// When its content last changed, in nanoseconds since 1970; a process can set another time (utimensat(2)).
    package let modifiedNanoseconds: Int64
    /// When its content or its metadata last changed; no process can set this time.
    package let changedNanoseconds: Int64

    /// The facts of the path itself: a symbolic link at its end is not followed (lstat(2)).
    package init(path: String) throws(LinuxError) {
        var status = stat()
        try checked("look at \(path)") { lstat(path, &status) }
        self.init(status)
    }

    /// The facts of what the path leads to, through links (stat(2)).
    package init(following path: String) throws(LinuxError) {
        var status = stat()
        try checked("look at \(path)") { stat(path, &status) }
        self.init(status)
    }

    /// The facts of an open descriptor (fstat(2)); `name` is for the error.
    package init(of descriptor: borrowing Descriptor, name: String) throws(LinuxError) {
        var status = stat()
        try checked("look at \(name)") { fstat(descriptor.raw, &status) }
        self.init(status)
    }

    private init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .folder
            case S_IFLNK: .symbolicLink
            case S_IFCHR: .characterDevice
            default: .other
            }
        permissions = status.st_mode & 0o7777
        owner = status.st_uid
        group = status.st_gid
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        byteCount = UInt64(max(0, status.st_size))
        modifiedNanoseconds = FileFacts.nanoseconds(status.st_mtim)
        changedNanoseconds = FileFacts.nanoseconds(status.st_ctim)
    }

    /// Those that were read elsewhere.
    package init(
        kind: Kind, permissions: UInt32, owner: UInt32, group: UInt32, device: UInt64, inode: UInt64,
        byteCount: UInt64, modifiedNanoseconds: Int64, changedNanoseconds: Int64
    ) {
        self.kind = kind
        self.permissions = permissions
        self.owner = owner
        self.group = group
        self.device = device
        self.inode = inode
        self.byteCount = byteCount
        self.modifiedNanoseconds = modifiedNanoseconds
        self.changedNanoseconds = changedNanoseconds
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// The current time in nanoseconds since 1970, by the clock that file times are taken from.
    package static func clockNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return nanoseconds(time)
    }
}

extension FileFacts {
    /// Whether it is the same inode, even if that has changed.
    package func isSameFile(as other: FileFacts) -> Bool { device == other.device && inode == other.inode }

    /// Whether the file had been unchanged for that long at a time of `clockNanoseconds`. A file whose change lies in
    /// the future, because the clock was set or is another machine's, counts as unchanged if earlier facts, read at
    /// least that long before, are equal.
    package func wasQuiet(
        forMilliseconds milliseconds: UInt64, at clockNanoseconds: Int64, before: FileFacts? = nil
    ) -> Bool {
        let end = changedNanoseconds &+ Int64(clamping: milliseconds) &* 1_000_000
        return end <= clockNanoseconds || (changedNanoseconds > clockNanoseconds && self == before)
    }
}
