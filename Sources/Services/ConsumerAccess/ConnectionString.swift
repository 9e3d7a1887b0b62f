internal import BaseEncodings
internal import Cryptography
package import LinuxSystem
internal import TLSSession

/// Everything that a consumer needs to connect, in one text: `hearth://HOST:PORT?key=…&fingerprint=sha256:…`, or with
/// `unix:PATH` instead of the host. Key and fingerprint are optional; without a fingerprint, the address decides about
/// TLS.
package struct ConnectionString: Sendable {
    package var address: SocketAddress
    package var key: KeySecret?
    /// The SHA-256 of the only certificate to trust.
    package var fingerprint: [UInt8]?

    package static let scheme = "hearth://"

    package init(address: SocketAddress, key: KeySecret?, fingerprint: [UInt8]?) {
        self.address = address
        self.key = key
        self.fingerprint = fingerprint
    }

    /// Throws if the text is malformed; no error repeats the key.
    package init(_ text: String) throws(AccessError) {
        guard text.hasPrefix(Self.scheme) else { throw AccessError("a connection string begins with \(Self.scheme)") }
        let parts = text.dropFirst(Self.scheme.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        do throws(SocketAddressError) {
            address = try SocketAddress(String(parts[0]))
        } catch {
            throw AccessError("the connection string's address \(error)")
        }
        guard parts.count == 2 else { return }
        for field in parts[1].split(separator: "&", omittingEmptySubsequences: false) {
            let pair = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            switch (pair[0], pair.count) {
            // Earlier versions wrote "token".
            case ("key", 2), ("token", 2):
                guard key == nil, let secret = KeySecret(pair[1]) else {
                    throw AccessError(
                        "the connection string's key is not whole: copy it again, from hearth:// to its end")
                }
                key = secret
            case ("fingerprint", 2):
                guard fingerprint == nil, let digest = Fingerprint.parse(pair[1]) else {
                    throw AccessError("the connection string's fingerprint is not 'sha256:' and 64 hexadecimal digits")
                }
                fingerprint = digest
            default:
                throw AccessError("a connection string holds key=... and fingerprint=..., each once, after the '?'")
            }
        }
    }

    /// The whole text, with the key.
    package var text: String {
        var fields: [String] = []
        if let key { fields.append("key=\(key.text)") }
        if let fingerprint { fields.append("fingerprint=sha256:\(hexadecimal(fingerprint))") }
        return Self.scheme + address.description + (fields.isEmpty ? "" : "?" + fields.joined(separator: "&"))
    }
}

/// The SHA-256 of a certificate as text.
package enum Fingerprint {
    /// Reads 64 hexadecimal digits, with or without colons between them, and with or without "sha256:" before them.
    /// Nil: anything else.
    package static func parse(_ text: some StringProtocol) -> [UInt8]? {
        let prefix = "sha256:"
        let rest = text.lowercased().hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : String(text)
        let digest = fromHexadecimal(rest.utf8.filter { $0 != UInt8(ascii: ":") })
        return digest?.count == SHA256.byteCount ? digest : nil
    }
}
