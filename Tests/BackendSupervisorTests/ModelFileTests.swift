import Foundation
import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("ModelFile")
struct ModelFileTests {
    private let folder = TemporaryFolder()
    private let digests = DigestCache()

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    @Test("its digest is SHA-256 of all of it, and the offset stays at its beginning")
    func digest() throws {
        // FIPS 180-4's example "abc", and NIST's of a million times "a".
        let small = try ModelFile(path: folder.write("abc", "abc"), digests: digests)
        #expect(hexadecimal(small.digest) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(small.byteCount == 3)
        let large = try ModelFile(
            path: folder.write("million", String(repeating: "a", count: 1_000_000)), digests: digests)
        #expect(hexadecimal(large.digest) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        #expect(lseek(large.descriptor.raw, 0, SEEK_CUR) == 0)
    }

    @Test("it cannot be written through the descriptor that is handed on")
    func readOnly() throws {
        let file = try ModelFile(path: folder.write("abc", "abc"), digests: digests)
        #expect(Glibc.write(file.descriptor.raw, "x", 1) == -1)
    }

    @Test("a digest is remembered until the file changes")
    func cache() throws {
        let path = folder.write("abc", "abc")
        let first = try ModelFile(path: path, digests: digests)
        let identity = try FileFacts(path: path)
        digests[identity] = [1, 2, 3]
        #expect(try ModelFile(path: path, digests: digests).digest == [1, 2, 3])
        folder.write("abc", "abcd")
        #expect(try ModelFile(path: path, digests: digests).digest != first.digest)
    }

    @Test("reading it ends when it is called off, and leaves no digest behind")
    func calledOff() throws {
        let path = folder.write("abc", "abc")
        #expect(throws: SupervisorError.self) {
            try ModelFile(path: path, digests: digests, isCalledOff: { true })
        }
        #expect(digests[try FileFacts(path: path)] == nil)
    }

    @Test("what is no regular file of its owner's is refused")
    func refused() throws {
        let path = folder.write("abc", "abc")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: path)
        mkfifo(folder.path + "/pipe", 0o600)
        #expect(throws: (any Error).self) { try ModelFile(path: folder.path + "/link", digests: digests) }
        #expect(throws: (any Error).self) { try ModelFile(path: folder.path + "/pipe", digests: digests) }
        #expect(throws: (any Error).self) { try ModelFile(path: folder.path, digests: digests) }
        #expect(throws: (any Error).self) { try ModelFile(path: folder.path + "/none", digests: digests) }
        chmod(path, 0o666)
        #expect(throws: SupervisorError.self) { try ModelFile(path: path, digests: digests) }
    }
}
