internal import CLinux
internal import Glibc

// Listening is done in two steps, so that an agent that takes over from another one has every address before it
// disturbs the other agent at any.
extension Socket {
    /// Binds, so that the address is taken, but no client can connect yet. A stale Unix socket on which no process
    /// listens is replaced. "[::]" accepts IPv4 too.
    ///
    /// `succeeding`: another process of the same user may listen there already, and is not disturbed (SO_REUSEPORT,
    /// socket(7)).
    package static func bind(to address: SocketAddress, succeeding: Bool = false) throws(LinuxError) -> BoundSocket {
        if case .unix(let path) = address { return try bind(toPath: path, succeeding: succeeding) }
        let (raw, bound) = try address.withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            set(SO_REUSEADDR, SOL_SOCKET, 1, on: socket)
            // Whatever net.ipv6.bindv6only says (ipv6(7)).
            set(IPV6_V6ONLY, CInt(IPPROTO_IPV6), 0, on: socket)
            if succeeding { set(SO_REUSEPORT, SOL_SOCKET, 1, on: socket) }
            try checked("listen on \(address)") { Glibc.bind(socket.raw, system, length) }
            let bound = SocketAddress.bound(of: socket.raw, asked: address)
            return (socket.release(), bound)
        }
        return BoundSocket(descriptor: Descriptor(owning: raw), address: bound, temporaryPath: nil)
    }

    /// A Unix socket has mode 0600. A socket that succeeds another has a temporary name beside it until it listens.
    private static func bind(toPath path: String, succeeding: Bool) throws(LinuxError) -> BoundSocket {
        if !succeeding {
            try removeStale(path: path)
            return BoundSocket(
                descriptor: try bind(toName: path, for: path), address: .unix(path: path), temporaryPath: nil)
        }
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
        var number = 0
        while true {
            let name = "\(folder).\(getpid()).\(number)"
            do throws(LinuxError) {
                return BoundSocket(
                    descriptor: try bind(toName: name, for: path), address: .unix(path: path), temporaryPath: name)
            } catch {
                // The name is taken by another socket of this process, or was left by a process with the same process
                // id.
                guard error.code == EADDRINUSE, number < 100 else { throw error }
                number += 1
            }
        }
    }

    private static func bind(toName name: String, for path: String) throws(LinuxError) -> Descriptor {
        let raw = try SocketAddress.unix(path: name).withSystemAddress { (system, length) throws(LinuxError) in
            let socket = try open(family: CInt(system.pointee.sa_family))
            let before = umask(0o177)
            defer { umask(before) }
            try checked("listen on unix:\(path)") { Glibc.bind(socket.raw, system, length) }
            return socket.release()
        }
        return Descriptor(owning: raw)
    }

    /// Lets peers connect. Where another process listens on the same address, every new connection comes to this one
    /// from now on: at a Unix socket's path in one step (rename(2)), elsewhere because the kernel is asked to steer
    /// them (SO_ATTACH_REUSEPORT_CBPF). If the kernel refuses, it spreads them over both processes, and none is lost
    /// either.
    package static func listen(_ socket: borrowing BoundSocket, backlog: CInt = 1024) throws(LinuxError) {
        let raw = socket.descriptor.raw
        try checked("listen on \(socket.address)") { Glibc.listen(raw, backlog) }
        if let name = socket.temporaryPath, case .unix(let path) = socket.address {
            try checked("listen on unix:\(path)") { rename(name, path) }
        } else if case .internet = socket.address {
            _ = hearth_prefer_newer_listener(raw)
            // This is set only now, so that a process which does not mean to succeed this socket finds its address in
            // use.
            set(SO_REUSEPORT, SOL_SOCKET, 1, on: socket.descriptor)
        }
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
    /// The temporary name that a Unix socket has until it listens; nil: it has its own.
    package let temporaryPath: String?

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
