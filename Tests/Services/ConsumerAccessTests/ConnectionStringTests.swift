import ConsumerAccess
import Cryptography
import LinuxSystem
import Testing

struct ConnectionStringTests {
    private let key = KeySecret.random()
    private let digest = [UInt8](0..<32)

    @Test func `what is written is read again, whatever the address`() throws {
        for address in ["host.example:50051", "192.0.2.1:1", "[2001:db8::1]:65535", "unix:/run/hearth.sock"] {
            let written = ConnectionString(address: try SocketAddress(address), key: key, fingerprint: digest)
            let read = try ConnectionString(written.text)
            #expect(read.address == written.address)
            #expect(read.key?.text == key.text)
            #expect(read.fingerprint == digest)
            #expect(read.text == written.text)
        }
    }

    @Test func `key and fingerprint may be missing, and come in any order`() throws {
        let bare = try ConnectionString("hearth://127.0.0.1:1")
        #expect(bare.key == nil && bare.fingerprint == nil)
        #expect(bare.text == "hearth://127.0.0.1:1")
        let hex = "sha256:" + String(repeating: "0A", count: 32)
        let turned = try ConnectionString("hearth://127.0.0.1:1?fingerprint=\(hex)&key=\(key.text)")
        #expect(turned.fingerprint == [UInt8](repeating: 10, count: 32) && turned.key?.text == key.text)
    }

    @Test(arguments: [
        "", "hearth:", "http://h:1", "hearth://", "hearth://h", "hearth://h:99999", "hearth://:1", "hearth://h:1?",
        "hearth://h:1?key", "hearth://h:1?key=", "hearth://h:1?key=hearth_short", "hearth://h:1?fingerprint=",
        "hearth://h:1?fingerprint=sha256:00", "hearth://h:1?fingerprint=md5:00", "hearth://h:1?other=1",
        "hearth://h:1/path?key=x", "hearth://::1:1", "hearth://h:1?&", "hearth://h:1?=",
    ])
    func `what is no connection string is refused`(text: String) {
        #expect(throws: AccessError.self) { try ConnectionString(text) }
    }

    @Test func `what earlier versions wrote is read, and the key is given once only`() throws {
        #expect(try ConnectionString("hearth://127.0.0.1:1?token=\(key.text)").key?.text == key.text)
        #expect(throws: AccessError.self) {
            try ConnectionString("hearth://127.0.0.1:1?token=\(key.text)&key=\(key.text)")
        }
    }

    @Test func `no refusal repeats the key`() {
        for text in ["hearth://h:1?key=\(key.text)x", "hearth://h:1?key=\(key.text)&key=\(key.text)"] {
            let error = #expect(throws: AccessError.self) { try ConnectionString(text) }
            #expect(error?.description.contains(key.text) == false)
        }
    }

    @Test func `a fingerprint is read as people write it`() {
        let plain = String(repeating: "ab", count: 32)
        let colons = Array(repeating: "AB", count: 32).joined(separator: ":")
        for text in [plain, colons, "sha256:" + plain, "SHA256:" + colons] {
            #expect(Fingerprint.parse(text) == [UInt8](repeating: 0xab, count: 32))
        }
        for text in ["", plain + "a", String(plain.dropLast()), plain.dropLast() + "g", plain.dropLast() + "é"] {
            #expect(Fingerprint.parse(text) == nil)
        }
    }
}
