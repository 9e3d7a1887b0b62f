internal import CLinux
internal import Glibc

/// Whole files in memory, within a bound.
package enum FileBytes {
    /// Reads a regular file. Throws EFBIG when it has more than `max` bytes, EINVAL when it is a folder, a device or a
    /// pipe, which could block.
    package static func read(_ path: String, max: Int) throws(LinuxError) -> [UInt8] {
        let file = try Descriptor.open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK)
        guard try FileFacts(of: file, name: path).kind == .regular else {
            throw LinuxError(code: EINVAL, operation: "read \(path), which is no regular file")
        }
        return try read(file, max: max, name: path)
    }

    /// Reads a descriptor from where it stands to its end; `name` is for the error.
    package static func read(_ file: borrowing Descriptor, max: Int, name: String) throws(LinuxError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = try checked("read \(name)") { Glibc.read(file.raw, &chunk, chunk.count) }
            if count == 0 { return bytes }
            guard bytes.count + count <= max else { throw LinuxError(code: EFBIG, operation: "read \(name)") }
            bytes.append(contentsOf: chunk[..<count])
        }
    }
}

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
}

extension FileBytes {
    /// Reads a file of /proc or /sys, which has no size of its own.
    package static func readPseudo(_ path: String, max: Int) throws(LinuxError) -> [UInt8] {
        let file = try Descriptor.open(path, O_RDONLY)
        return try read(file, max: max, name: path)
    }
}

extension Descriptor {
    /// Goes back to the first byte (lseek(2)).
    package func rewind() throws(LinuxError) { try checked("rewind descriptor \(raw)") { lseek(raw, 0, SEEK_SET) } }
}

extension Descriptor {
    /// O_PATH of open(2), which Glibc's module leaves out: a place in the tree, not to be read. The same number on
    /// x86-64 and arm64 (asm-generic/fcntl.h).
    package static let pathOnly: CInt = 0o10000000

    /// openat(2) with O_CLOEXEC, below this folder.
    package func openBelow(_ name: String, _ flags: CInt, mode: UInt32 = 0o600) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open \(name)") { openat(raw, name, flags | O_CLOEXEC, mode) })
    }

    /// What a relative path leads to from this folder, without leaving it by ".." or by a link, wherever the folder is
    /// moved meanwhile (openat2(2), RESOLVE_BENEATH). Throws EXDEV for a path that leads out, ENOSYS before Linux 5.6.
    package func openBeneath(_ path: String, _ flags: CInt) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open \(path)") { hearth_open_resolved(raw, path, flags, 1) })
    }

    /// What an absolute path without any link leads to (openat2(2), RESOLVE_NO_SYMLINKS). Throws ELOOP for one with a link,
    /// ENOSYS before Linux 5.6.
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
}
