internal import CLinux
internal import Glibc

/// A datagram that came with descriptors.
package struct DescribedDatagram {
    package let bytes: [UInt8]
    /// Owned by whoever received it, who closes each.
    package let descriptors: [CInt]
    /// Whether the datagram was longer than what was asked for, or the kernel left descriptors out, as it does where
    /// this process may open no more (unix(7), MSG_CTRUNC).
    package let isCut: Bool
}

// Datagrams that carry descriptors to another process (unix(7), SCM_RIGHTS).
extension Socket {
    /// SCM_MAX_FD: the most descriptors that one datagram carries.
    package static let descriptorsMax = Int(HEARTH_DESCRIPTORS_MAX)

    /// Sends one datagram, without waiting and without SIGPIPE: two pieces of bytes, and descriptors, which the caller
    /// keeps. Returns whether it was sent; one that does not fit now is not.
    package static func sendDatagram(
        _ socket: CInt, _ head: [UInt8], _ bytes: [UInt8], descriptors: [CInt]
    ) throws(LinuxError) -> Bool {
        while hearth_send_descriptors(
            socket, head, head.count, bytes, bytes.count, descriptors, UInt32(descriptors.count), CInt(MSG_DONTWAIT))
            < 0
        {
            switch errno {
            case EINTR: continue
            case EAGAIN: return false
            default: throw LinuxError.last("send a datagram with descriptors")
            }
        }
        return true
    }

    /// Takes one datagram, with its descriptors, without waiting; nil where none waits. One without bytes is the other
    /// end's close.
    package static func receiveDescribed(_ socket: CInt, max: Int) throws(LinuxError) -> DescribedDatagram? {
        var descriptors = [CInt](repeating: -1, count: descriptorsMax)
        var (count, isCut) = (UInt32(0), CInt(0))
        var received = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: max) { buffer, initialized throws(LinuxError) in
            repeat {
                received = hearth_receive_descriptors(
                    socket, buffer.baseAddress, buffer.count, &descriptors, &count, &isCut)
            } while received < 0 && errno == EINTR
            if received < 0, errno != EAGAIN { throw LinuxError.last("receive a datagram with descriptors") }
            initialized = Swift.max(0, received)
        }
        if received < 0 { return nil }
        return DescribedDatagram(bytes: bytes, descriptors: Array(descriptors.prefix(Int(count))), isCut: isCut != 0)
    }

    /// Connects to a Unix socket that keeps message boundaries (SOCK_SEQPACKET).
    package static func connectForDatagrams(toPath path: String) throws(LinuxError) -> Descriptor {
        let raw = try SocketAddress.unix(path: path).withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: AF_UNIX, kind: SOCK_SEQPACKET)
            try checked("connect to unix:\(path)") { Glibc.connect(socket.raw, system, length) }
            return socket.release()
        }
        return Descriptor(owning: raw)
    }

    /// Listens at a path on a Unix socket that keeps message boundaries; mode 0600. Whatever socket was there is
    /// replaced in one step (rename(2)).
    package static func listenForDatagrams(atPath path: String, backlog: CInt = 8) throws(LinuxError) -> Descriptor {
        // No longer than a socket's own name, so that a path that fits is not too long for this step.
        let name = "\(path.lastIndex(of: "/").map { path[...$0] } ?? "").\(getpid())"
        unlink(name)
        let raw = try SocketAddress.unix(path: name).withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: AF_UNIX, kind: SOCK_SEQPACKET)
            let before = umask(0o177)
            defer { umask(before) }
            try checked("listen on unix:\(path)") { Glibc.bind(socket.raw, system, length) }
            try checked("listen on unix:\(path)") { Glibc.listen(socket.raw, backlog) }
            return socket.release()
        }
        let listener = Descriptor(owning: raw)
        do throws(LinuxError) {
            try checked("listen on unix:\(path)") { rename(name, path) }
        } catch {
            unlink(name)
            throw error
        }
        return listener
    }
}
