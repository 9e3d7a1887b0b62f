internal import Glibc

/// The result of moving bytes through a non-blocking descriptor.
package enum Transfer: Equatable, Sendable {
    /// This many bytes were moved, at least one.
    case moved(Int)
    /// No byte can be moved now; try again when the descriptor is ready.
    case wouldBlock
    /// The other end has closed; reading only.
    case ended
}

extension Socket {
    /// recv(2) into a buffer that is not empty.
    package static func receive(
        _ socket: CInt, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LinuxError) -> Transfer {
        try receive(socket, buffer, flags: 0)
    }

    /// Drops up to a buffer's size of received bytes; TCP does so without copying (tcp(7), MSG_TRUNC), other sockets
    /// use the buffer.
    package static func discard(
        _ socket: CInt, using buffer: UnsafeMutableRawBufferPointer
    ) throws(LinuxError) -> Transfer {
        try receive(socket, buffer, flags: CInt(MSG_TRUNC))
    }

    private static func receive(
        _ socket: CInt, _ buffer: UnsafeMutableRawBufferPointer, flags: CInt
    ) throws(LinuxError) -> Transfer {
        while true {
            let count = recv(socket, buffer.baseAddress, buffer.count, flags)
            if count > 0 { return .moved(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            if errno == EAGAIN { return .wouldBlock }
            throw LinuxError.last("receive")
        }
    }

    /// send(2) without SIGPIPE; a peer that is gone is EPIPE or ECONNRESET.
    package static func send(_ socket: CInt, _ bytes: UnsafeRawBufferPointer) throws(LinuxError) -> Transfer {
        while true {
            let count = Glibc.send(socket, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            if count >= 0 { return .moved(count) }
            if errno == EINTR { continue }
            if errno == EAGAIN { return .wouldBlock }
            throw LinuxError.last("send")
        }
    }

    /// Makes the kernel end the connection when the peer answers nothing for this long, with unacknowledged data or
    /// without (tcp(7), SO_KEEPALIVE and TCP_USER_TIMEOUT). Does nothing on a Unix socket.
    package static func setLostPeerTimeout(_ socket: borrowing Descriptor, seconds: CInt) {
        let probes: CInt = 6
        let values: [(level: CInt, option: CInt, value: CInt)] = [
            (SOL_SOCKET, SO_KEEPALIVE, 1),
            (CInt(IPPROTO_TCP), TCP_KEEPIDLE, max(seconds / 2, 1)),
            (CInt(IPPROTO_TCP), TCP_KEEPINTVL, max(seconds / 2 / probes, 1)),
            (CInt(IPPROTO_TCP), TCP_KEEPCNT, probes),
            (CInt(IPPROTO_TCP), TCP_USER_TIMEOUT, seconds * 1_000),
        ]
        for (level, option, value) in values {
            var value = value
            setsockopt(socket.raw, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
        }
    }

    /// Ends the sending direction (shutdown(2)); what was sent still arrives.
    package static func shutdownSending(_ socket: CInt) { _ = shutdown(socket, CInt(SHUT_WR)) }

    /// The address at the other end of a connected socket; IPv4 peers on an IPv6 socket have their IPv4 address. For a
    /// Unix socket it is `listener`, because such peers have no name.
    package static func peer(of socket: CInt, listener: SocketAddress) -> SocketAddress {
        guard case .internet = listener else { return listener }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let found = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                getpeername(socket, address, &length) == 0
                    && getnameinfo(address, length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0
            }
        }
        guard found else { return listener }
        // sin_port and sin6_port lie at the same place (ip(7), ipv6(7)).
        let port = withUnsafeBytes(of: &storage) { $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self) }
        let name = host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        let mapped = "::ffff:"
        let isIPv4 = name.hasPrefix(mapped) && SocketAddress.isIPv4(name.dropFirst(mapped.count))
        return .internet(
            host: isIPv4 ? String(name.dropFirst(mapped.count)) : name, port: UInt16(bigEndian: port))
    }
}
