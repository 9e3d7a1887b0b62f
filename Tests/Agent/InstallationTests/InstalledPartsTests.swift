import Foundation
import Installation
import Settings
import TestPlaces
import Testing

@Suite("InstalledParts")
struct InstalledPartsTests {
    @Test("a launcher or policies that anybody could change are refused with the remedy")
    func trust() throws {
        let folder = TemporaryFolder()
        defer { folder.remove() }
        let policies = folder.file("policies")
        try FileManager.default.createDirectory(
            atPath: policies, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
        let launcher = folder.write("hearth-sandbox", permissions: 0o755)
        let strict = folder.write("policies/strict.json", permissions: 0o755)
        func refusal() -> String? {
            do throws(HostError) {
                try InstalledParts.demandTrust(launcher: launcher, policies: policies)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(refusal() == nil)
        for path in [launcher, strict, policies, folder.path] {
            chmod(path, 0o777)
            #expect(refusal()?.hasSuffix("chmod go-w '\(path)'") == true)
            chmod(path, 0o755)
        }
        #expect(refusal() == nil)
    }

    @Test(
        "the digests of what was installed are read by folder and name, and a list that others could change is refused")
    func digests() throws {
        let folder = TemporaryFolder()
        defer { folder.remove() }
        let executable = folder.file("bin/hearth")
        for name in ["bin", "share", "share/hearth"] {
            try FileManager.default.createDirectory(
                atPath: folder.file(name), withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
        }
        #expect(try InstalledParts.digests(executable: executable).isEmpty)
        let digest = String(repeating: "0a", count: 32)
        let list = """
            file /p/lib/hearth/backends/echo
            folder /p/lib/hearth
            sha256 \(digest) /p/lib/hearth/backends/echo
            sha256 \(digest) /p p/share/hearth/policies/strict.json

            """
        let path = folder.write("share/hearth/manifest", list)
        let bytes = [UInt8](repeating: 10, count: 32)
        #expect(
            try InstalledParts.digests(executable: executable)
                == ["backends/echo": bytes, "policies/strict.json": bytes])
        chmod(path, 0o666)
        #expect(throws: HostError.self) { try InstalledParts.digests(executable: executable) }
        chmod(path, 0o644)
        folder.write("share/hearth/manifest", list + "sha256 0a /p/lib/hearth/backends/other\n")
        let error = #expect(throws: HostError.self) { try InstalledParts.digests(executable: executable) }
        #expect(error?.description.contains("install Hearth again") == true)
    }
}
