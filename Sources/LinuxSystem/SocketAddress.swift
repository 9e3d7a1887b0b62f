internal import CLinux
internal import Glibc

/// Where to listen or connect: "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Hosts are numeric or "localhost".
package enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    case internet(host: String, port: UInt16)
    case unix(path: String)

    package init(_ text: String) throws(SocketAddressError) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard !path.isEmpty, path.utf8.count < 108 else {
                throw SocketAddressError("'\(text)': a Unix socket's path has 1 to 107 bytes")
            }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw SocketAddressError("'\(text)': write HOST:PORT with a port from 0 to 65535, or unix:PATH")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw SocketAddressError("'\(text)': write an IPv6 address in brackets, as in [::1]:50051")
        }
        guard !host.isEmpty else { throw SocketAddressError("'\(text)': the host is missing, as in 127.0.0.1:50051") }
        self = .internet(host: host, port: port)
    }

    package var description: String {
        switch self {
        case .internet(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Whether only this machine can reach it: 127.0.0.0/8, ::1, "localhost", a Unix socket.
    package var isLocal: Bool {
        switch self {
        case .unix: true
        case .internet(let host, _):
            host == "localhost" || host == "::1" || (host.hasPrefix("127.") && SocketAddress.isIPv4(host))
        }
    }

    private static func isIPv4(_ host: String) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, host, &address) == 1
    }
}

/// A text that is no address; says what one looks like.
package struct SocketAddressError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension SocketAddress {
    /// The kernel's form of the address. A host name other than "localhost" goes through getaddrinfo(3), which blocks.
    func withSystemAddress<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(LinuxError) -> Result
    ) throws(LinuxError) -> Result {
        var storage = sockaddr_storage()
        var length = socklen_t(0)
        switch self {
        case .unix(let path):
            try checked("use \(self)") { hearth_unix_address(path, &storage, &length) }
        case .internet(let host, let port):
            var hints = addrinfo()
            hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
            hints.ai_flags = AI_NUMERICSERV
            var found: UnsafeMutablePointer<addrinfo>?
            let name = host == "localhost" ? "127.0.0.1" : host
            guard getaddrinfo(name, String(port), &hints, &found) == 0, let found else {
                throw LinuxError(code: EADDRNOTAVAIL, operation: "look up \(host)")
            }
            defer { freeaddrinfo(found) }
            length = found.pointee.ai_addrlen
            memcpy(&storage, found.pointee.ai_addr, Int(length))
        }
        return try withUnsafePointer(to: &storage) { (pointer) throws(LinuxError) in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { (address) throws(LinuxError) in
                try body(address, length)
            }
        }
    }
}
