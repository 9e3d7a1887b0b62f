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
}
