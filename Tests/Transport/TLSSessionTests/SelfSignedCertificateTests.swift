import Foundation
import TLSSession
import TestPlaces
import Testing

struct SelfSignedCertificateTests {
    @Test("A generated certificate has the fingerprint that was returned, and only its owner can read it and its key")
    func generate() throws {
        try inTemporaryFolder { folder in
            let certificate = folder + "/certificate.pem"
            let key = folder + "/key.pem"
            let fingerprint = try SelfSignedCertificate.generate(
                hosts: ["localhost", "127.0.0.1", "::1"], certificateFile: certificate, privateKeyFile: key)
            #expect(fingerprint.count == 32)
            for file in [certificate, key] {
                let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
                #expect(mode == 0o600)
            }
            let context = try TLSContext(server: ServerTLS(certificateChainFile: certificate, privateKeyFile: key))
            #expect(try context.certificateSHA256() == fingerprint)
        }
    }

    @Test("A file that is there already is not overwritten, and no key is left without its certificate")
    func existing() throws {
        try inTemporaryFolder { folder in
            let certificate = folder + "/certificate.pem"
            let key = folder + "/key.pem"
            try "mine".write(toFile: certificate, atomically: true, encoding: .utf8)
            let error = #expect(throws: TLSError.self) {
                try SelfSignedCertificate.generate(hosts: ["x"], certificateFile: certificate, privateKeyFile: key)
            }
            #expect(error?.description.contains(certificate) == true)
            #expect(try String(contentsOfFile: certificate, encoding: .utf8) == "mine")
            #expect(!FileManager.default.fileExists(atPath: key))
        }
    }

    @Test("What is left of an attempt that was cut short is mended: a whole key is kept, and half a one replaced")
    func mended() throws {
        try inTemporaryFolder { folder in
            let certificate = folder + "/certificate.pem"
            let key = folder + "/key.pem"
            func generate() throws {
                _ = try SelfSignedCertificate.generate(
                    hosts: ["x"], certificateFile: certificate, privateKeyFile: key)
                _ = try TLSContext(server: ServerTLS(certificateChainFile: certificate, privateKeyFile: key))
            }
            try generate()
            let whole = try String(contentsOfFile: key, encoding: .utf8)
            try FileManager.default.removeItem(atPath: certificate)
            try generate()
            #expect(try String(contentsOfFile: key, encoding: .utf8) == whole)
            for cut in ["", String(whole.prefix(100))] {
                try FileManager.default.removeItem(atPath: certificate)
                try cut.write(toFile: key, atomically: true, encoding: .utf8)
                try generate()
                #expect(try FileManager.default.attributesOfItem(atPath: key)[.posixPermissions] as? Int == 0o600)
            }
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
                    == ["certificate.pem", "key.pem"])
        }
    }

    @Test("A host that cannot stand in a certificate is named")
    func badHost() {
        inTemporaryFolder { folder in
            #expect(throws: TLSError.self) {
                try SelfSignedCertificate.generate(
                    hosts: ["a,IP:nonsense"], certificateFile: folder + "/c",
                    privateKeyFile: folder + "/k")
            }
        }
    }

    @Test("Files that are missing, empty, or of another pair are refused by name")
    func badFiles() throws {
        try inTemporaryFolder { folder in
            func path(_ name: String) -> String { "\(folder)/\(name)" }
            _ = try SelfSignedCertificate.generate(
                hosts: ["x"], certificateFile: path("c1"), privateKeyFile: path("k1"))
            _ = try SelfSignedCertificate.generate(
                hosts: ["x"], certificateFile: path("c2"), privateKeyFile: path("k2"))
            try "".write(toFile: path("empty"), atomically: true, encoding: .utf8)
            for (certificate, key, named) in [
                ("none", "k1", "none"), ("empty", "k1", "empty"), ("c1", "none", "none"), ("c1", "empty", "empty"),
                ("c1", "k2", "k2"),
            ] {
                let error = #expect(throws: TLSError.self) {
                    try TLSContext(
                        server: ServerTLS(certificateChainFile: path(certificate), privateKeyFile: path(key)))
                }
                #expect(error?.description.contains(path(named)) == true)
                let identity = ClientIdentity(certificateChainFile: path(certificate), privateKeyFile: path(key))
                let ofClient = #expect(throws: TLSError.self) {
                    try TLSContext(client: ClientTLS(identity: identity), host: nil)
                }
                #expect(ofClient?.description.contains(path(named)) == true)
            }
        }
    }

    @Test("A pin of another length than 32 bytes is refused")
    func badPin() {
        #expect(throws: TLSError.self) {
            try TLSContext(client: ClientTLS(trust: .pinned(sha256: [1, 2])), host: nil)
        }
    }
}
