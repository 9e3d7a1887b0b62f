internal import CLinux
internal import Glibc

/// Stream sockets, non-blocking and close-on-exec (socket(7), tcp(7), unix(7)).
package enum Socket {
    /// Binds and listens. A Unix socket is made with mode 0600; a stale one that nobody listens on is replaced. On
    /// "[::]" IPv4 is accepted too.
    ///
    /// `succeeding`: another process of the same user may listen there already. Connections go to either of the two
    /// until `preferNewer`, or, on a Unix socket, to this one at once.
    /// Returns the listening socket and the address with the port that the kernel chose.
    package static func listen(
        on address: SocketAddress, backlog: CInt = 1024, succeeding: Bool = false
    ) throws(LinuxError) -> Listening {
        if case .unix(let path) = address {
            return try listen(onPath: path, address, backlog: backlog, succeeding: succeeding)
        }
        let (raw, bound) = try address.withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            set(SO_REUSEADDR, SOL_SOCKET, 1, on: socket)
            // Whatever net.ipv6.bindv6only says (ipv6(7)).
            set(IPV6_V6ONLY, CInt(IPPROTO_IPV6), 0, on: socket)
            if succeeding { set(SO_REUSEPORT, SOL_SOCKET, 1, on: socket) }
            try checked("listen on \(address)") { bind(socket.raw, system, length) }
            try checked("listen on \(address)") { Glibc.listen(socket.raw, backlog) }
            // Only now: whoever does not mean to succeed this socket finds its address in use.
            set(SO_REUSEPORT, SOL_SOCKET, 1, on: socket)
            let bound = SocketAddress.bound(of: socket.raw, asked: address)
            return (socket.release(), bound)
        }
        return Listening(descriptor: Descriptor(owning: raw), address: bound)
    }

    private static func listen(
        onPath path: String, _ address: SocketAddress, backlog: CInt, succeeding: Bool
    ) throws(LinuxError) -> Listening {
        if !succeeding { try removeStale(path: path, address: address) }
        // A name of its own until it listens, so that there is no moment without a socket at the path.
        let first = succeeding ? path + "~" : path
        if succeeding { unlink(first) }
        let raw = try SocketAddress.unix(path: first).withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            let before = umask(0o177)
            defer { umask(before) }
            try checked("listen on unix:\(first)") { bind(socket.raw, system, length) }
            try checked("listen on unix:\(path)") { Glibc.listen(socket.raw, backlog) }
            if succeeding { try checked("listen on unix:\(path)") { rename(first, path) } }
            return socket.release()
        }
        return Listening(descriptor: Descriptor(owning: raw), address: address)
    }

    private static func set(_ option: CInt, _ level: CInt, _ value: CInt, on socket: borrowing Descriptor) {
        var value = value
        setsockopt(socket.raw, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }

    /// Every new connection to the address of a socket that succeeded another one is this one's from now on. Does
    /// nothing on a Unix socket, or without a predecessor.
    package static func preferNewer(_ listener: borrowing Descriptor) {
        // Where the kernel refuses, it goes on spreading them over both, which lose none of them either.
        _ = hearth_prefer_newer_listener(listener.raw)
    }

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

    /// SO_ERROR: 0 when all is well.
    package static func pendingError(_ socket: borrowing Descriptor) -> CInt {
        var code: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &code, &length)
        return code
    }

    /// TCP_NODELAY: what is written leaves at once. Does nothing on a Unix socket.
    package static func setNoDelay(_ socket: borrowing Descriptor) {
        var on: CInt = 1
        setsockopt(socket.raw, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func open(family: CInt) throws(LinuxError) -> Descriptor {
        let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        return Descriptor(owning: try checked("make a socket") { socket(family, kind, 0) })
    }

    /// A path that is a socket and refuses connections was left by a process that died.
    private static func removeStale(path: String, address: SocketAddress) throws(LinuxError) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return }
        do {
            _ = try connect(to: address)
        } catch {
            if error.code == ECONNREFUSED { unlink(path) }
        }
    }
}

/// A socket that listens, and where.
package struct Listening: ~Copyable, Sendable {
    package let descriptor: Descriptor
    package let address: SocketAddress

    package consuming func take<Result: ~Copyable>(
        _ body: (consuming Descriptor, SocketAddress) throws -> Result
    ) rethrows -> Result {
        try body(descriptor, address)
    }
}

extension SocketAddress {
    /// The address with the port that the kernel chose.
    static func bound(of descriptor: CInt, asked: SocketAddress) -> SocketAddress {
        guard case .internet(let host, _) = asked else { return asked }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let found = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard found == 0 else { return asked }
        // sin_port and sin6_port lie at the same place (ip(7), ipv6(7)).
        let port = withUnsafeBytes(of: &storage) { $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self) }
        return .internet(host: host, port: UInt16(bigEndian: port))
    }
}
