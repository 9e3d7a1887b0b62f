import Foundation
import LinuxSystem
import SandboxPolicy
import Testing

@testable import BackendSupervisor

/// A folder that is removed with its last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("hearth-\(UUID().uuidString)").path
        // A test that cannot make its folder has nothing to say.
        try! FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ text: String = "", permissions: Int = 0o644) -> String {
        let file = path + "/" + name
        _ = FileManager.default.createFile(
            atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: permissions])
        return file
    }

    func remove(_ name: String) { try? FileManager.default.removeItem(atPath: path + "/" + name) }
}

@Suite("BackendFolder and BackendCatalog")
struct BackendFolderTests {
    private let folder = TemporaryFolder()
    private var limits: SupervisorConfiguration.Limits {
        var limits = SupervisorConfiguration.Limits()
        limits.settledMilliseconds = 0
        return limits
    }

    private func catalog(_ limits: SupervisorConfiguration.Limits? = nil) throws -> BackendCatalog {
        try BackendCatalog.read(folder.path, limits: limits ?? self.limits, before: BackendCatalog())
    }

    private func reason(_ name: String, in catalog: BackendCatalog) -> String? {
        catalog.ignored.first { $0.name == name }?.reason
    }

    @Test("an executable alone is a backend with one model of its name under the strict policy")
    func plainExecutable() throws {
        folder.write("echo", permissions: 0o755)
        let found = try catalog()
        #expect(found.definitions.map(\.name) == ["echo"])
        #expect(found.definitions.map(\.model.id) == ["echo"])
        #expect(found.definitions.first?.manifest.policy == "strict")
        #expect(found.ignored.isEmpty)
    }

    @Test("a manifest with two models gives two, in the order of names")
    func severalModels() throws {
        folder.write("b", permissions: 0o755)
        folder.write("a", permissions: 0o755)
        folder.write("a.json", #"{"models": [{"id": "two", "file": "two.gguf"}, {"id": "one"}]}"#)
        folder.write("two.gguf", "weights")
        let found = try catalog()
        #expect(found.definitions.map(\.model.id) == ["two", "one", "b"])
        #expect(found.ignored.isEmpty, "weights that a manifest names are nothing to wonder about")
    }

    @Test("what is no backend is told with a remedy")
    func ignored() throws {
        folder.write("notes.txt")
        folder.write("shared", permissions: 0o777)
        folder.write("setuid", permissions: 0o4755)
        folder.write("na me", permissions: 0o755)
        folder.write("lonely.json", "{}")
        folder.write(".hidden", permissions: 0o755)
        let elsewhere = folder.write("real", permissions: 0o755)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: elsewhere)
        try FileManager.default.createDirectory(atPath: folder.path + "/models", withIntermediateDirectories: false)
        chmod(folder.path + "/shared", 0o777)
        chmod(folder.path + "/setuid", 0o4755)
        let found = try catalog()
        #expect(found.definitions.map(\.name) == ["real"])
        #expect(
            found.ignored.map(\.name) == ["link", "lonely.json", "models", "na me", "notes.txt", "setuid", "shared"])
        #expect(reason("link", in: found)?.contains("symbolic link") == true)
        #expect(reason("lonely.json", in: found)?.contains("without an executable 'lonely'") == true)
        #expect(reason("models", in: found) == "a folder")
        #expect(reason("na me", in: found)?.contains("rename it") == true)
        #expect(reason("notes.txt", in: found)?.contains("chmod +x") == true)
        #expect(reason("setuid", in: found)?.contains("chmod ug-s") == true)
        #expect(reason("shared", in: found)?.contains("chmod go-w") == true)
    }

    @Test("an executable is not run without the manifest that was meant for it")
    func refusedManifest() throws {
        folder.write("a", permissions: 0o755)
        folder.write("a.json", #"{"polcy": "lax"}"#)
        folder.write("b", permissions: 0o755)
        folder.write("b.json", "{}")
        chmod(folder.path + "/b.json", 0o666)
        let found = try catalog()
        #expect(found.definitions.isEmpty)
        #expect(reason("a", in: found)?.contains("a.json") == true)
        #expect(reason("b", in: found)?.contains("its manifest is refused") == true)
        #expect(reason("b.json", in: found)?.contains("chmod go-w") == true)
    }

    @Test("a file that is still being written is left for later")
    func settling() throws {
        folder.write("echo", permissions: 0o755)
        var patient = limits
        patient.settledMilliseconds = 3_600_000
        let found = try catalog(patient)
        #expect(found.definitions.isEmpty)
        #expect(found.folder.settling == ["echo"])
        #expect(found.ignored.isEmpty)
    }

    @Test("a changed executable or manifest is told from the old one")
    func changes() throws {
        folder.write("echo", "1", permissions: 0o755)
        let first = try catalog()
        #expect(try catalog().definitions == first.definitions)
        folder.write("echo.json", "{}")
        let second = try catalog()
        #expect(second.definitions != first.definitions)
        folder.write("echo", "22", permissions: 0o755)
        #expect(try catalog().definitions != second.definitions)
    }

    @Test("a folder that is missing, no folder, or open to others is refused")
    func refusedFolder() {
        #expect(throws: (any Error).self) {
            try BackendFolder.scan(folder.path + "/none", limits: limits)
        }
        let file = folder.write("file")
        #expect(throws: SupervisorError.self) { try BackendFolder.scan(file, limits: limits) }
        chmod(folder.path, 0o777)
        #expect(throws: SupervisorError.self) { try BackendFolder.scan(folder.path, limits: limits) }
    }

    @Test("more processes than the limit are not run")
    func tooMany() throws {
        var few = limits
        few.backendsMax = 2
        for name in ["a", "b", "c"] { folder.write(name, permissions: 0o755) }
        let found = try catalog(few)
        #expect(found.definitions.map(\.name) == ["a", "b"])
        #expect(found.ignored.count == 1)
    }

    @Test("the folder of backends, a folder above it, and a foreign executable are refused when they are looked at")
    func scanned() throws {
        let inner = "\(folder.path)/a/backends"
        try FileManager.default.createDirectory(
            atPath: inner, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        folder.write("a/backends/x", permissions: 0o755)
        let found = try BackendFolder.scan(inner, limits: limits)
        #expect(found.candidates.map(\.name) == ["x"])
        chmod("\(folder.path)/a", 0o777)
        let error = #expect(throws: SupervisorError.self) { try BackendFolder.scan(inner, limits: limits) }
        #expect(error.map { "\($0)" }?.contains("chmod go-w '\(folder.path)/a'") == true)
        chmod("\(folder.path)/a", 0o755)
        guard geteuid() == 0 else { return print("not tried, because only root can: a foreign executable") }
        chown("\(inner)/x", 12_345, 12_345)
        let foreign = try BackendFolder.scan(inner, limits: limits)
        #expect(foreign.candidates.isEmpty)
        #expect(foreign.ignored.first?.reason.contains("owned by user 12345") == true)
        #expect(throws: SandboxLaunchError.self) { try BackendExecutable.open(folder: inner, name: "x").digest }
    }
}
