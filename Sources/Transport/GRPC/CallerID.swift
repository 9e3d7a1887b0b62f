internal import Cryptography
package import LinuxSystem

/// The caller to which work is charged: an access key; else the subject of a certificate; else the peer's address, or
/// its user on a Unix socket.
///
/// A small value that stands for the caller in tables; it holds nothing secret. For keys and subjects it has the first
/// 128 bits of their SHA-256: finding two with the same is infeasible.
package struct CallerID: Hashable, Sendable {
    /// What identifies a caller, the strongest first.
    package enum Kind: UInt8, Sendable { case key, subject, network, address, user, unknown }

    package let kind: Kind
    private let high: UInt64
    private let low: UInt64

    private init(_ kind: Kind, _ high: UInt64, _ low: UInt64 = 0) {
        self.kind = kind
        self.high = high
        self.low = low
    }

    private init(_ kind: Kind, digest: [UInt8]) {
        (high, low) = digest.withUnsafeBytes { bytes in
            precondition(bytes.count >= 16, "a SHA-256 has 32 bytes")
            return (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        self.kind = kind
    }

    /// The holder of an access key, by the SHA-256 of its secret: a new key with the same name is another caller.
    package static func key(sha256 digest: [UInt8]) -> CallerID { CallerID(.key, digest: digest) }

    /// The subject of a certificate that an authority has signed (`PeerCertificate.names`), the same after each
    /// renewal; nil: the certificate names nobody.
    package static func subject(_ names: [String]) -> CallerID? {
        guard !names.isEmpty else { return nil }
        // No name has a NUL in it.
        return CallerID(.subject, digest: names.joined(separator: "\0").utf8Digest)
    }

    /// The peer's address without its port, which the peer chooses freely. An IPv6 address counts as its /64, because
    /// the peer chooses the other half as freely; the owner of a /48 is up to 65,536 callers, which `CallerAccounts`
    /// takes into account.
    package static func origin(_ origin: PeerOrigin) -> CallerID {
        switch origin {
        case .ipv4(let address): CallerID(.address, UInt64(address))
        case .ipv6(let network, let interface): CallerID(.network, network, UInt64(interface))
        case .user(let user): CallerID(.user, UInt64(user))
        case .unknown: CallerID(.unknown, 0)
        }
    }

    /// The caller with these `bytes`; nil: there is none.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 17, let kind = Kind(rawValue: bytes[0]) else { return nil }
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(kind, number(bytes[1..<9]), number(bytes[9..<17]))
    }

    /// 17 bytes that are the same for the same caller; hash them with a secret before they leave this process.
    package var bytes: [UInt8] {
        [kind.rawValue] + [high, low].flatMap { number in withUnsafeBytes(of: number.bigEndian, Array.init) }
    }

    /// Whether a key or a certificate identifies the caller, so that their number bounds the number of such callers.
    package var isNamed: Bool { kind == .key || kind == .subject }

    /// The part of the Internet that a caller comes from, used when there are too many callers: an IPv4 address's /16,
    /// an IPv6 network's /32, which is what a provider is assigned.
    var neighbourhood: UInt64 {
        switch kind {
        case .address: high >> 16
        case .network: high >> 32
        case .key, .subject, .user, .unknown: high
        }
    }
}

extension CallerID: CustomStringConvertible {
    /// For a log: "address 192.0.2.1", "network 2001:db8:0:0::/64", "user 1000"; of keys and subjects a part of the digest.
    package var description: String {
        switch kind {
        case .key, .subject: "\(kind) \(String(high, radix: 16))"
        case .network:
            "network " + [48, 32, 16, 0].map { String(high >> $0 & 0xffff, radix: 16) }.joined(separator: ":") + "::/64"
        case .address: "address " + [24, 16, 8, 0].map { String(high >> $0 & 0xff) }.joined(separator: ".")
        case .user: "user \(high)"
        case .unknown: "unknown"
        }
    }
}

extension String {
    fileprivate var utf8Digest: [UInt8] { Array(utf8).withUnsafeBytes { SHA256.digest($0) } }
}
