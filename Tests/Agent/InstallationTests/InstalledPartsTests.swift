import Foundation
import Installation
import Settings
import Testing

@Suite("InstalledParts")
struct InstalledPartsTests {
    @Test("a launcher or policies that anybody could change are refused with the remedy")
    func trust() throws {
        let files = FileManager.default
        let folder = files.temporaryDirectory.resolvingSymlinksInPath().appending(path: "hearth-\(UUID().uuidString)")
        defer { try? files.removeItem(at: folder) }
        let policies = folder.appending(path: "policies")
        try files.createDirectory(
            at: policies, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let launcher = folder.appending(path: "hearth-sandbox").path
        let strict = policies.appending(path: "strict.json").path
        for path in [launcher, strict] {
            _ = files.createFile(atPath: path, contents: Data(), attributes: [.posixPermissions: 0o755])
        }
        func refusal() -> String? {
            do throws(HostError) {
                try InstalledParts.demandTrust(launcher: launcher, policies: policies.path)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(refusal() == nil)
        for path in [launcher, strict, policies.path, folder.path] {
            chmod(path, 0o777)
            #expect(refusal()?.hasSuffix("chmod go-w '\(path)'") == true)
            chmod(path, 0o755)
        }
        #expect(refusal() == nil)
    }
}
