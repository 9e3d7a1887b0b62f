internal import CLinux
internal import Glibc

/// An address to listen on or connect to: "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Hosts are numeric or "localhost".
/// Only a link-local address has its interface after it, as in "[fe80::1%eth0]:50051" (RFC 4007, section 11).
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
            try SocketAddress.checkIPv6(host, in: text)
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

    /// Whether only this machine can reach it: 127.0.0.0/8, ::1, "localhost", a Unix socket; also as an IPv4-mapped
    /// IPv6 address.
    package var isLocal: Bool {
        guard case .internet(let host, _) = self else { return true }
        if host == "localhost" { return true }
        if let bytes = SocketAddress.ipv6(host) {
            return bytes == SocketAddress.loopback6 || (bytes.starts(with: SocketAddress.mapped) && bytes[12] == 127)
        }
        return host.hasPrefix("127.") && SocketAddress.isIPv4(host)
    }

    /// The host without a link-local address's interface, which has a meaning on this machine only (RFC 4007, section
    /// 6); nil for a Unix socket.
    package var hostWithoutInterface: String? {
        guard case .internet(let host, _) = self else { return nil }
        return String(host.prefix { $0 != "%" })
    }

    /// Whether a host is written as an address, IPv4 or IPv6 without an interface, and not as a name.
    package static func isAddress(_ host: some StringProtocol) -> Bool { isIPv4(host) || ipv6(host) != nil }

    /// The prefix of an IPv4-mapped address (RFC 4291, section 2.5.5.2).
    private static let mapped = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]
    private static let loopback6 = [UInt8](repeating: 0, count: 15) + [1]

    static func isIPv4(_ host: some StringProtocol) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, String(host), &address) == 1
    }

    /// The bytes of an IPv6 address without an interface; nil: it is none.
    private static func ipv6(_ host: some StringProtocol) -> [UInt8]? {
        var address = in6_addr()
        guard inet_pton(AF_INET6, String(host), &address) == 1 else { return nil }
        return withUnsafeBytes(of: &address) { Array($0) }
    }

    private static func checkIPv6(_ host: String, in text: String) throws(SocketAddressError) {
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = ipv6(parts[0]) else {
            throw SocketAddressError("'\(text)': in brackets stands an IPv6 address, as in [::1]:50051")
        }
        let isLinkLocal = bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80
        let hasInterface = parts.count == 2 && !parts[1].isEmpty
        guard isLinkLocal || parts.count == 1 else {
            throw SocketAddressError("'\(text)': only a link-local address (fe80::...) has an interface after it")
        }
        guard !isLinkLocal || hasInterface else {
            throw SocketAddressError(
                "'\(text)': a link-local address needs the interface that it is on, as in [fe80::1%eth0]:50051")
        }
    }
}

/// A text that is no address; the description says what an address looks like.
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
            if let interface = host.split(separator: "%", maxSplits: 1).dropFirst().first {
                // A name, or a number (RFC 4007, section 11.2).
                try checked("find the interface of \(self)") {
                    UInt32(interface) != nil || if_nametoindex(String(interface)) != 0 ? 0 : -1
                }
            }
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
