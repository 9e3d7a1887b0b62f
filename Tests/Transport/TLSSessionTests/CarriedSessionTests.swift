import TLSSession
import TestPlaces
import Testing

/// Sessions whose bytes the test carries from one to the other.
struct CarriedSessionTests {
    private func identity(_ folder: String, hosts: [String] = ["localhost"]) throws -> (ServerIdentity, [UInt8]) {
        let files = ServerTLS(certificateChainFile: folder + "/c.pem", privateKeyFile: folder + "/k.pem")
        let fingerprint = try SelfSignedCertificate.generate(
            hosts: hosts, certificateFile: files.certificateChainFile, privateKeyFile: files.privateKeyFile)
        return (try ServerIdentity(reading: files), fingerprint)
    }

    /// Gives one what the other sends, and calls `body` while it has it.
    private func carry<Result>(
        from sender: TLSSession, to receiver: TLSSession, _ body: () throws(TLSError) -> Result
    ) throws -> Result {
        try sender.takeOutgoing().withUnsafeBytes { try receiver.receive($0, body) }
    }

    private func read(_ session: TLSSession) throws(TLSError) -> (text: [UInt8], last: TLSSession.Step) {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 100)
        while true {
            let step = try buffer.withUnsafeMutableBytes { bytes in
                Result { () throws(TLSError) in try session.read(into: bytes) }
            }.get()
            guard case .moved(let count) = step else { return (text, step) }
            text += buffer[..<count]
        }
    }

    @Test("both ends go through the handshake, move bytes, and tell of their end")
    func conversation() throws {
        try inTemporaryFolder { folder in
            let (identity, fingerprint) = try identity(folder)
            let server = try TLSSession(carrying: TLSContext(server: identity, speaking: .http2))
            let client = try TLSSession(
                carrying: TLSContext(client: ClientTLS(trust: .pinned(sha256: fingerprint)), host: nil))
            #expect(try client.handshake() == .wantRead)
            #expect(try carry(from: client, to: server) { () throws(TLSError) in try server.handshake() } == .wantRead)
            #expect(try carry(from: server, to: client) { () throws(TLSError) in try client.handshake() } == .moved(0))
            #expect(try carry(from: client, to: server) { () throws(TLSError) in try server.handshake() } == .moved(0))
            let long = [UInt8](repeating: 7, count: 40_000)
            var sent = 0
            while sent < long.count {
                guard case .moved(let count) = try long[sent...].withUnsafeBytes({ try server.write($0) }) else {
                    break
                }
                sent += count
            }
            let received = try carry(from: server, to: client) { () throws(TLSError) in try read(client) }
            #expect(received.text == long && received.last == .wantRead)
            #expect(server.takeOutgoing().isEmpty)
            server.close()
            #expect(try carry(from: server, to: client) { () throws(TLSError) in try read(client) }.last == .ended)
        }
    }

    @Test("a server of HTTP/1.1 ends the handshake of a client that offers HTTP/2 alone")
    func protocols() throws {
        try inTemporaryFolder { folder in
            let (identity, fingerprint) = try identity(folder)
            let server = try TLSSession(carrying: TLSContext(server: identity, speaking: .http1))
            let client = try TLSSession(
                carrying: TLSContext(client: ClientTLS(trust: .pinned(sha256: fingerprint)), host: nil))
            _ = try client.handshake()
            #expect(throws: TLSError.self) {
                try carry(from: client, to: server) { () throws(TLSError) in try server.handshake() }
            }
        }
    }

    @Test("bytes that are no TLS end the session")
    func noise() throws {
        try inTemporaryFolder { folder in
            let (identity, _) = try identity(folder)
            let server = try TLSSession(carrying: TLSContext(server: identity, speaking: .http1))
            #expect(throws: TLSError.self) {
                try Array("GET / HTTP/1.1\r\n\r\n".utf8).withUnsafeBytes { bytes in
                    try server.receive(bytes) { () throws(TLSError) in try server.handshake() }
                }
            }
        }
    }

    @Test("a certificate's names are known, and a text that is damaged is refused by name")
    func texts() throws {
        try inTemporaryFolder { folder in
            var (identity, _) = try identity(folder, hosts: ["localhost", "a.example", "127.0.0.1"])
            let context = try TLSContext(server: identity, speaking: .http1)
            #expect(context.certificateNames?.alternativeNames == ["localhost", "a.example"])
            let whole = identity.certificateChain
            for (bytes, isUsed) in [
                (whole.bytes + whole.bytes, true), (Array("of the host\n".utf8) + whole.bytes, true),
                (Array(whole.bytes.dropLast(100)), false), (whole.bytes + whole.bytes.dropLast(100), false),
                ([], false),
            ] {
                identity.certificateChain = PEMText(bytes, name: "the text")
                if isUsed {
                    _ = try TLSContext(server: identity, speaking: .http1)
                } else {
                    let error = #expect(throws: TLSError.self) { try TLSContext(server: identity, speaking: .http1) }
                    #expect(error?.description.contains("the text") == true)
                }
            }
        }
    }
}
