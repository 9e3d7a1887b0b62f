internal import CLinux
internal import Glibc

/// The origin of a connection, as the kernel reports it before a byte was received: a peer cannot choose it freely.
package enum PeerOrigin: Hashable, Sendable {
    /// An IPv4 address, as a number; also one that came in on an IPv6 socket (RFC 4291, section 2.5.5.2) or through a
    /// translator (RFC 6052, section 2.1).
    case ipv4(UInt32)
    /// The first half of an IPv6 address, and the interface of a link-local one. A machine chooses the second half
    /// freely and as often as it likes (RFC 4291, section 2.5.1; RFC 8981), so that a single address does not identify
    /// it.
    case ipv6(network: UInt64, interface: UInt32)
    /// The user at the other end of a Unix socket, when it connected (unix(7), SO_PEERCRED).
    case user(UInt32)
    /// The descriptor is no socket, or not connected any more.
    case unknown
}

extension Socket {
    /// The origin of the other end of a connected socket.
    package static func origin(of socket: CInt) -> PeerOrigin {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let found = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(socket, $0, &length) }
        }
        guard found == 0 else { return .unknown }
        switch CInt(storage.ss_family) {
        case AF_INET:
            // sin_addr (ip(7)).
            let address = withUnsafeBytes(of: &storage) { $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self) }
            return .ipv4(UInt32(bigEndian: address))
        case AF_INET6: return withUnsafeBytes(of: &storage) { origin(ofIPv6: $0) }
        case AF_UNIX:
            var user: UInt32 = 0
            return hearth_peer_user(socket, &user) == 0 ? .user(user) : .unknown
        default: return .unknown
        }
    }

    /// The origin in a `sockaddr_in6` (ipv6(7)): the address from the 8th byte on, then the interface.
    static func origin(ofIPv6 bytes: UnsafeRawBufferPointer) -> PeerOrigin {
        let high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        if (high == 0 && low >> 32 == 0xffff) || (high == 0x0064_ff9b << 32 && low >> 32 == 0) {
            return .ipv4(UInt32(truncatingIfNeeded: low))
        }
        // All links have the same network, fe80::/64.
        let isLinkLocal = high >> 54 == 0xfe80 >> 6
        return .ipv6(
            network: high, interface: isLinkLocal ? bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self) : 0)
    }
}
