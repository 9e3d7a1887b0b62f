internal import Glibc

/// What stands at a path or behind a descriptor, and which content it has, as far as its inode tells (stat(2)).
package struct FolderEntry: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case regular, folder, symbolicLink, other
    }

    package let kind: Kind
    /// The lower twelve bits of the mode.
    package let permissions: UInt32
    package let owner: UInt32
    package let group: UInt32
    package let identity: FileIdentity
    /// When the file or its inode last changed, in nanoseconds since 1970; nobody can set it back.
    package let changedNanoseconds: Int64

    /// A symbolic link at the path's end is told as such, not followed.
    package init(path: String) throws(LinuxError) {
        var status = stat()
        try checked("look at \(path)") { lstat(path, &status) }
        self.init(status)
    }

    package init(of descriptor: borrowing Descriptor) throws(LinuxError) {
        var status = stat()
        try checked("look at a file") { fstat(descriptor.raw, &status) }
        self.init(status)
    }

    private init(_ status: stat) {
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .folder
            case S_IFLNK: .symbolicLink
            default: .other
            }
        permissions = status.st_mode & 0o7777
        owner = status.st_uid
        group = status.st_gid
        identity = FileIdentity(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), byteCount: UInt64(max(0, status.st_size)),
            modifiedNanoseconds: Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec))
        changedNanoseconds = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
    }

    /// Nanoseconds since 1970 by the clock that file times are taken from.
    package static func clockNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// Where a symbolic link leads, as written in it; nil when there is none at the path (readlink(2)).
    package static func linkTarget(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &bytes, bytes.count)
        return count > 0 && count < 4096
            ? String(validating: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// The names in a folder but "." and "..", in no order; at most `limit` (readdir(3)).
    package static func names(inFolder path: String, limit: Int) throws(LinuxError) -> [String] {
        guard let folder = opendir(path) else { throw LinuxError.last("read the folder \(path)") }
        defer { closedir(folder) }
        var names: [String] = []
        while names.count < limit, let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

/// Which file it is and which content it has; equal as long as nobody wrote to it.
package struct FileIdentity: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64
    package let byteCount: UInt64
    package let modifiedNanoseconds: Int64
}
