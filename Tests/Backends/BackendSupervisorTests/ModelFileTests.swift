import BaseEncodings
import Foundation
import LinuxSystem
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("ModelFile")
struct ModelFileTests {
    private let folder = TemporaryFolder()
    private let digests = DigestCache()

    /// The weights of that name beside a manifest.
    private func model(_ name: String, isCalledOff: () -> Bool = { false }) throws -> ModelFile {
        try ModelFile(
            PlaceWithin(root: folder.path, within: name), digests: digests, isCalledOff: isCalledOff)
    }

    @Test("its digest is SHA-256 of all of it, and the offset stays at its beginning")
    func digest() throws {
        // FIPS 180-4's example "abc", and NIST's of a million times "a".
        folder.write("abc", "abc")
        folder.write("million", String(repeating: "a", count: 1_000_000))
        let small = try model("abc")
        #expect(hexadecimal(small.digest) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(small.byteCount == 3)
        let large = try model("million")
        #expect(hexadecimal(large.digest) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        #expect(lseek(large.descriptor.raw, 0, SEEK_CUR) == 0)
    }

    @Test("it cannot be written through the descriptor that is handed on")
    func readOnly() throws {
        folder.write("abc", "abc")
        let file = try model("abc")
        #expect(Glibc.write(file.descriptor.raw, "x", 1) == -1)
    }

    @Test("a digest is remembered until the file changes")
    func cache() throws {
        let path = folder.write("abc", "abc")
        let first = try model("abc")
        let known = [UInt8](repeating: 7, count: 32)
        let later = FileFacts.clockNanoseconds() + 10_000_000_000
        digests.remember(known, of: try FileFacts(path: path), readFrom: later)
        #expect(try model("abc").digest == known)
        folder.write("abc", "abcd")
        #expect(try model("abc").digest != first.digest)
    }

    @Test("reading it ends when it is called off, and leaves no digest behind")
    func calledOff() throws {
        let path = folder.write("abc", "abc")
        #expect(throws: SupervisorError.self) {
            try model("abc", isCalledOff: { true })
        }
        #expect(digests.digest(of: try FileFacts(path: path)) == nil)
    }

    @Test("what is no regular file, is everybody's to write, or is reached by a link that leads out is refused")
    func refused() throws {
        let elsewhere = TemporaryFolder()
        let files = FileManager.default
        let path = folder.write("abc", "abc")
        let secret = elsewhere.write("secret", "abc")
        try files.createSymbolicLink(atPath: folder.path + "/out", withDestinationPath: secret)
        try files.createSymbolicLink(atPath: folder.path + "/in", withDestinationPath: "abc")
        mkfifo(folder.path + "/pipe", 0o600)
        try files.createDirectory(atPath: folder.path + "/models", withIntermediateDirectories: false)
        func refusal(_ name: String) -> String? {
            #expect(throws: TrustError.self) { try model(name) }?.description
        }
        #expect(refusal("out")?.contains("led out of \(folder.path) by a symbolic link") == true)
        #expect(refusal("pipe")?.contains("no regular file") == true)
        #expect(refusal("models")?.contains("a folder") == true)
        #expect(refusal("none")?.contains("No such file") == true)
        #expect(try model("in").digest == model("abc").digest)
        chmod(path, 0o666)
        #expect(refusal("abc")?.contains("chmod o-w '\(path)'") == true)
        chmod(path, 0o664)
        _ = try model("abc")
    }
}
