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

    /// Reads a descriptor from its current position to its end; `name` is for the error.
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

    /// Reads a file of /proc or /sys, which has no size of its own.
    package static func readPseudo(_ path: String, max: Int) throws(LinuxError) -> [UInt8] {
        let file = try Descriptor.open(path, O_RDONLY)
        return try read(file, max: max, name: path)
    }
}
