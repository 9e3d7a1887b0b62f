internal import CLinux
internal import Glibc

// Files and folders by their descriptors.
extension Descriptor {
    /// Writes all of it; for blocking descriptors.
    package func writeAll(_ bytes: [UInt8]) throws(LinuxError) {
        var written = 0
        while written < bytes.count {
            written += try checked("write") {
                bytes.withUnsafeBytes { Glibc.write(raw, $0.baseAddress! + written, $0.count - written) }
            }
        }
    }

    /// Goes back to the first byte (lseek(2)).
    package func rewind() throws(LinuxError) { try checked("rewind descriptor \(raw)") { lseek(raw, 0, SEEK_SET) } }

    /// O_PATH of open(2), which Glibc's module leaves out: a place in the tree, not to be read. The same number on
    /// x86-64 and arm64 (asm-generic/fcntl.h).
    package static let pathOnly: CInt = 0o10000000

    /// openat(2) with O_CLOEXEC, below this folder.
    package func openBelow(_ name: String, _ flags: CInt, mode: UInt32 = 0o600) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open \(name)") { openat(raw, name, flags | O_CLOEXEC, mode) })
    }

    /// Opens a relative path from this folder, without leaving it by ".." or by a link, even if the folder is moved
    /// meanwhile (openat2(2), RESOLVE_BENEATH). Throws EXDEV for a path that leads out, ENOSYS before Linux 5.6.
    package func openBeneath(_ path: String, _ flags: CInt) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open \(path)") { hearth_open_resolved(raw, path, flags, 1) })
    }

    /// Opens an absolute path without following any link (openat2(2), RESOLVE_NO_SYMLINKS). Throws ELOOP for a path
    /// with a link, ENOSYS before Linux 5.6.
    package static func openWithoutLinks(_ path: String, _ flags: CInt) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open \(path)") { hearth_open_resolved(-1, path, flags, 0) })
    }

    /// symlinkat(2).
    package func makeLink(_ name: String, to target: String) throws(LinuxError) {
        try checked("link \(name) to \(target)") { symlinkat(target, raw, name) }
    }

    /// mkdirat(2); one that is there already is fine.
    package func makeFolder(_ name: String) throws(LinuxError) {
        if mkdirat(raw, name, 0o755) != 0, errno != EEXIST { throw LinuxError.last("make folder \(name)") }
    }

    /// Waits until what was written is on the disk (fsync(2)). Not every file system can flush a folder (EINVAL).
    package func flush(_ operation: String) throws(LinuxError) {
        if fsync(raw) != 0, errno != EINVAL { throw LinuxError.last(operation) }
    }

    /// Moves a file from a folder into this one, of the same file system; throws EEXIST where there is one of that name
    /// (renameat2(2), RENAME_NOREPLACE, or a look beforehand where the file system has no such move).
    package func renameBelow(
        from folder: borrowing Descriptor, _ name: String, as newName: String
    ) throws(LinuxError) {
        let (old, new) = (folder.raw, raw)
        if hearth_rename_without_replacing(old, name, new, newName) == 0 { return }
        guard errno == EINVAL || errno == ENOSYS else { throw LinuxError.last("rename \(name) to \(newName)") }
        guard faccessat(new, newName, F_OK, AT_SYMLINK_NOFOLLOW) != 0 else {
            throw LinuxError(code: EEXIST, operation: "rename \(name) to \(newName)")
        }
        try checked("rename \(name) to \(newName)") { renameat(old, name, new, newName) }
    }
}
