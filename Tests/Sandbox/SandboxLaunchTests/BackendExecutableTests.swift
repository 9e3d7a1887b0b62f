import BaseEncodings
import Cryptography
import Foundation
import LinuxSystem
import SandboxLaunch
import TestPlaces
import Testing

@Suite("Scripts as backends")
struct BackendExecutableTests {
    private let folder = TemporaryFolder()

    /// A program that can be an interpreter, as far as that shows without running it.
    private func interpreter(_ name: String = "runs", permissions: Int = 0o755) throws -> String {
        let path = folder.file(name)
        try FileManager.default.copyItem(atPath: Built.path("unruly"), toPath: path)
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: path)
        return path
    }

    private func refusal(of name: String, interpreter: String?) -> String {
        do throws(SandboxError) {
            _ = try BackendExecutable.open(folder: folder.path, name: name, interpreter: interpreter).digest
            return ""
        } catch {
            return error.description
        }
    }

    @Test("the interpreter is executed, the script is its input, and the digest is of both")
    func script() throws {
        let text = "#!/whatever\nprint(1)\n"
        folder.write("script", text, permissions: 0o755)
        let path = try interpreter()
        let opened = try BackendExecutable.open(folder: folder.path, name: "script", interpreter: path)
        let digests = try [Data(text.utf8), Data(contentsOf: URL(fileURLWithPath: path))].map { data in
            var hash = SHA256()
            data.withUnsafeBytes { hash.update($0) }
            return hash.finalize()
        }
        let both = BackendExecutable.digest(ofScriptWith: digests[0], interpreter: digests[1])
        #expect(opened.digest == hexadecimal(both))
        #expect(try Descriptor.isSealed(opened.input.raw) && Descriptor.isSealed(opened.memory.raw))
        let input = try Descriptor.open("/proc/self/fd/\(opened.input.raw)", O_RDONLY)
        #expect(try FileBytes.read(input, max: 100, name: "input") == Array(text.utf8))

        folder.write("script", text + "#", permissions: 0o755)
        let changed = try BackendExecutable.open(folder: folder.path, name: "script", interpreter: path).digest
        #expect(changed != opened.digest)
    }

    @Test("a program has nothing to read")
    func program() throws {
        _ = try interpreter("program")
        let opened = try BackendExecutable.open(folder: folder.path, name: "program")
        let input = try Descriptor.open("/proc/self/fd/\(opened.input.raw)", O_RDONLY)
        #expect(try FileBytes.read(input, max: 100, name: "input").isEmpty)
    }

    @Test("what cannot be relied on, or is not what its manifest says, is refused with the remedy")
    func refusals() throws {
        folder.write("script", "#!/bin/sh\n", permissions: 0o755)
        let path = try interpreter()
        #expect(refusal(of: "script", interpreter: path).isEmpty)
        #expect(refusal(of: "script", interpreter: nil).hasSuffix(#"as "interpreter" in its manifest"#))
        #expect(refusal(of: "runs", interpreter: path).hasSuffix(#"leave "interpreter" out of its manifest"#))
        let open = try interpreter("open", permissions: 0o777)
        #expect(refusal(of: "script", interpreter: open).contains("chmod go-w '\(open)'"))
        let setID = try interpreter("setid", permissions: 0o4755)
        #expect(refusal(of: "script", interpreter: setID).contains("set-user-id"))
        #expect(refusal(of: "script", interpreter: folder.file("script")).contains("is a script"))
        #expect(refusal(of: "script", interpreter: folder.file("none")).contains("none"))
        folder.write("writable", "#!/bin/sh\n", permissions: 0o777)
        #expect(refusal(of: "writable", interpreter: path).contains("chmod go-w"))
        folder.write("plain", "#!/bin/sh\n")
        #expect(refusal(of: "plain", interpreter: path).contains("chmod +x"))
        folder.write("long", "#!" + String(repeating: "#", count: 16 << 20), permissions: 0o755)
        #expect(refusal(of: "long", interpreter: path).hasSuffix("a script has at most 16777216"))
    }
}
