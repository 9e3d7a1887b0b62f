internal import CLinux
internal import Glibc

// Listening is done in two steps, so that an agent has every address before anybody can connect to one.
extension Socket {
    /// Binds, so that the address is taken, but no client can connect yet. A stale Unix socket on which no process
    /// listens is replaced; its mode is 0600. "[::]" accepts IPv4 too.
    package static func bind(to address: SocketAddress) throws(LinuxError) -> BoundSocket {
        if case .unix(let path) = address {
            try removeStale(path: path)
            return BoundSocket(descriptor: try bind(toName: path), address: address)
        }
        let (raw, bound) = try address.withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            set(SO_REUSEADDR, SOL_SOCKET, 1, on: socket)
            // Whatever net.ipv6.bindv6only says (ipv6(7)).
            set(IPV6_V6ONLY, CInt(IPPROTO_IPV6), 0, on: socket)
            try checked("listen on \(address)") { Glibc.bind(socket.raw, system, length) }
            let bound = SocketAddress.bound(of: socket.raw, asked: address)
            return (socket.release(), bound)
        }
        return BoundSocket(descriptor: Descriptor(owning: raw), address: bound)
    }

    private static func bind(toName path: String) throws(LinuxError) -> Descriptor {
        let raw = try SocketAddress.unix(path: path).withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            let before = umask(0o177)
            defer { umask(before) }
            try checked("listen on unix:\(path)") { Glibc.bind(socket.raw, system, length) }
            return socket.release()
        }
        return Descriptor(owning: raw)
    }

    /// Lets peers connect.
    package static func listen(_ socket: borrowing BoundSocket, backlog: CInt = 1024) throws(LinuxError) {
        let raw = socket.descriptor.raw
        try checked("listen on \(socket.address)") { Glibc.listen(raw, backlog) }
    }

    /// Binds and listens.
    package static func listen(on address: SocketAddress) throws(LinuxError) -> BoundSocket {
        let socket = try bind(to: address)
        try listen(socket)
        return socket
    }

    private static func set(_ option: CInt, _ level: CInt, _ value: CInt, on socket: borrowing Descriptor) {
        var value = value
        setsockopt(socket.raw, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }

    /// A path that is a socket and refuses connections was left by a process that died.
    private static func removeStale(path: String) throws(LinuxError) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return }
        do {
            _ = try connect(to: .unix(path: path))
        } catch {
            if error.code == ECONNREFUSED { unlink(path) }
        }
    }
}

/// A bound socket.
package struct BoundSocket: ~Copyable, Sendable {
    package let descriptor: Descriptor
    /// The address, with the port that the kernel chose.
    package let address: SocketAddress

    package init(descriptor: consuming Descriptor, address: SocketAddress) {
        self.descriptor = descriptor
        self.address = address
    }

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
