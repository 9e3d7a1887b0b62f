internal import CLinux
internal import Glibc

/// Stream sockets, non-blocking and close-on-exec (socket(7), tcp(7), unix(7)).
package enum Socket {
    /// Accepts one connection, or nil when none waits.
    package static func accept(_ listener: borrowing Descriptor) throws(LinuxError) -> Descriptor? {
        while true {
            let raw = hearth_accept(listener.raw)
            if raw >= 0 { return Descriptor(owning: raw) }
            switch errno {
            case EAGAIN: return nil
            // The connection died while it waited (accept(2), "Error handling"): take the next one.
            case EINTR, ECONNABORTED, EPROTO: continue
            default: throw LinuxError.last("accept a connection")
            }
        }
    }

    /// Starts to connect; the socket is writable once that has succeeded or failed, and `pendingError` tells which.
    package static func connect(to address: SocketAddress) throws(LinuxError) -> Descriptor {
        let raw = try address.withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            while Glibc.connect(socket.raw, system, length) != 0 {
                if errno == EINTR { continue }
                if errno == EINPROGRESS { break }
                throw LinuxError.last("connect to \(address)")
            }
            return socket.release()
        }
        return Descriptor(owning: raw)
    }

    /// SO_ERROR: 0 when there is no error.
    package static func pendingError(_ socket: borrowing Descriptor) -> CInt {
        var code: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &code, &length)
        return code
    }

    /// TCP_NODELAY: written bytes are sent at once. Does nothing on a Unix socket.
    package static func setNoDelay(_ socket: borrowing Descriptor) {
        var on: CInt = 1
        setsockopt(socket.raw, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    }

    static func open(family: CInt, kind: __socket_type = SOCK_STREAM) throws(LinuxError) -> Descriptor {
        let kind = CInt(kind.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        return Descriptor(owning: try checked("make a socket") { socket(family, kind, 0) })
    }
}
