internal import CLinux
internal import Glibc

/// An owned file descriptor, closed with the value. Every one that this package makes is close-on-exec from the start.
package struct Descriptor: ~Copyable, Sendable {
    /// For a system call that borrows it; never closed or kept by the caller.
    package let raw: CInt

    /// Takes over an open descriptor.
    package init(owning raw: CInt) {
        precondition(raw >= 0, "a descriptor is not negative")
        self.raw = raw
    }

    deinit { _ = close(raw) }

    /// Gives the descriptor away, unclosed.
    package consuming func release() -> CInt {
        let raw = self.raw
        discard self
        return raw
    }

    package func duplicate() throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("duplicate a descriptor") { fcntl(raw, F_DUPFD_CLOEXEC, 3) })
    }

    /// Closes what it is a descriptor of: from here on it is one of `/dev/null`. For an owner that others still borrow it
    /// from by number. What was closed must not be watched any more.
    package func abandon() throws(LinuxError) {
        let null = try Descriptor.open("/dev/null", O_RDWR)
        try checked("abandon a descriptor") { hearth_replace_descriptor(raw, null.raw) }
    }

    /// O_NONBLOCK for a descriptor that is borrowed by number.
    package static func setNonblocking(_ raw: CInt) throws(LinuxError) {
        try checked("set O_NONBLOCK") { hearth_set_nonblocking(raw, 1) }
    }

    package func setNonblocking(_ nonblocking: Bool) throws(LinuxError) {
        try checked("set O_NONBLOCK") { hearth_set_nonblocking(raw, nonblocking ? 1 : 0) }
    }
}

extension Descriptor {
    /// open(2) with O_CLOEXEC.
    package static func open(_ path: String, _ flags: CInt, mode: UInt32 = 0o600) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("open \(path)") { Glibc.open(path, flags | O_CLOEXEC, mode) })
    }

    /// pipe2(2) with O_CLOEXEC: the end to read, the end to write.
    package static func pipe() throws(LinuxError) -> DescriptorPair {
        var ends: [CInt] = [-1, -1]
        try checked("make a pipe") { hearth_pipe(&ends) }
        return DescriptorPair(first: Descriptor(owning: ends[0]), second: Descriptor(owning: ends[1]))
    }

    /// socketpair(2): two connected Unix stream sockets.
    package static func socketPair() throws(LinuxError) -> DescriptorPair {
        try socketPair(kind: CInt(SOCK_STREAM.rawValue))
    }

    static func socketPair(kind: CInt) throws(LinuxError) -> DescriptorPair {
        var ends: [CInt] = [-1, -1]
        try checked("make a socket pair") { socketpair(AF_UNIX, kind | CInt(SOCK_CLOEXEC.rawValue), 0, &ends) }
        return DescriptorPair(first: Descriptor(owning: ends[0]), second: Descriptor(owning: ends[1]))
    }

    /// memfd_create(2): a file in memory that can be sealed.
    package static func memoryFile(_ name: String) throws(LinuxError) -> Descriptor {
        Descriptor(owning: try checked("make a memory file") { hearth_memfd_create(name) })
    }

    /// Forbids every later change of a memory file (fcntl(2), F_ADD_SEALS).
    package func seal() throws(LinuxError) {
        try checked("seal a memory file") { hearth_seal(raw) }
    }

    /// Writes all of it; for blocking descriptors.
    package func writeAll(_ bytes: UnsafeRawBufferPointer) throws(LinuxError) {
        var written = 0
        while written < bytes.count {
            written += try checked("write") {
                Glibc.write(raw, bytes.baseAddress! + written, bytes.count - written)
            }
        }
    }
}

/// Both ends of a pipe or a socket pair.
package struct DescriptorPair: ~Copyable, Sendable {
    package let first: Descriptor
    package let second: Descriptor

    /// Passes both ends on, each to its owner.
    package consuming func take<Result: ~Copyable>(
        _ body: (consuming Descriptor, consuming Descriptor) throws -> Result
    ) rethrows -> Result {
        try body(first, second)
    }
}
