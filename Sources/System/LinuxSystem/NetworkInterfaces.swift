internal import Glibc

/// The addresses of this machine (getifaddrs(3)).
package enum NetworkInterfaces {
    /// The first address of an interface that is up, by which other machines may reach this one; IPv4 before IPv6, none that
    /// is valid on one link only. Nil: there is none.
    package static func reachableHost() -> String? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var sixth: String?
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            let flags = entry.pointee.ifa_flags
            guard flags & UInt32(IFF_UP) != 0, flags & UInt32(IFF_LOOPBACK) == 0,
                let address = entry.pointee.ifa_addr
            else { continue }
            switch CInt(address.pointee.sa_family) {
            case AF_INET: return numeric(address, socklen_t(MemoryLayout<sockaddr_in>.size))
            case AF_INET6:
                let host = numeric(address, socklen_t(MemoryLayout<sockaddr_in6>.size))
                if sixth == nil, let host, !host.contains("%") { sixth = host }
            default: continue
            }
        }
        return sixth
    }

    private static func numeric(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> String? {
        var text = [CChar](repeating: 0, count: 64)
        guard getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else {
            return nil
        }
        return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
    }
}
