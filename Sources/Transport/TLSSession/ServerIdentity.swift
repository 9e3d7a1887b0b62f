internal import Glibc
internal import LinuxSystem

/// The text of a PEM file, and the name by which errors call it.
package struct PEMText: Sendable, Hashable {
    package let name: String
    package let bytes: [UInt8]

    /// The longest such file that is read.
    package static let bytesMax = 1 << 20

    package init(_ bytes: [UInt8], name: String) {
        self.name = name
        self.bytes = bytes
    }

    /// Reads a file; throws with what it was to be.
    init(file: String, _ role: String) throws(TLSError) {
        do throws(LinuxError) {
            self.init(try FileBytes.read(file, max: PEMText.bytesMax), name: file)
        } catch {
            throw TLSError(.configuration, "read the \(role): \(error)")
        }
    }
}

/// What a TLS server presents, in memory: the contents of the files of a `ServerTLS`.
package struct ServerIdentity: Sendable, Hashable {
    package var certificateChain: PEMText
    package var privateKey: PEMText
    package var clientAuthorities: PEMText?
    package var acceptsTLS12: Bool

    package init(
        certificateChain: PEMText, privateKey: PEMText, clientAuthorities: PEMText? = nil, acceptsTLS12: Bool = false
    ) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.clientAuthorities = clientAuthorities
        self.acceptsTLS12 = acceptsTLS12
    }

    /// Reads the files; throws with the name of one that cannot be read. Whether they can be used, a `TLSContext` finds out.
    package init(reading files: ServerTLS) throws(TLSError) {
        certificateChain = try PEMText(file: files.certificateChainFile, "certificate chain")
        privateKey = try PEMText(file: files.privateKeyFile, "private key")
        acceptsTLS12 = files.acceptsTLS12
        if let file = files.clientAuthorityFile {
            clientAuthorities = try PEMText(file: file, "certificate authorities of clients")
        }
    }
}

/// What is spoken over TLS, as ALPN names it (RFC 7301).
package enum ApplicationProtocol: Sendable {
    /// A peer that does not agree to it is refused.
    case http2
    /// A peer that names no protocol speaks it, too.
    case http1

    static let http2Name = Array("h2".utf8)
    static let http1Name = Array("http/1.1".utf8)

    var name: [UInt8] { self == .http2 ? Self.http2Name : Self.http1Name }
}
