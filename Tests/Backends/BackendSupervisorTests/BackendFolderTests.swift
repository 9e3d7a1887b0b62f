import Foundation
import LinuxSystem
import SandboxLaunch
import SandboxPolicy
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("BackendFolder and BackendCatalog")
struct BackendFolderTests {
    private let folder = TemporaryFolder()
    private var limits: SupervisorConfiguration.Limits {
        var limits = SupervisorConfiguration.Limits()
        limits.settledMilliseconds = 0
        return limits
    }

    private func catalog(
        _ limits: SupervisorConfiguration.Limits? = nil, before: BackendCatalog = BackendCatalog()
    ) throws -> BackendCatalog {
        let reader = CatalogReader(
            path: folder.path, policiesDirectory: "/none", owner: OwnerLimits(threads: 1),
            limits: limits ?? self.limits,
            digests: DigestCache())
        return try reader.read(before: before)
    }

    /// The models that run as they did before, of those that run now.
    private func same(_ catalog: BackendCatalog, as before: BackendCatalog) -> [String] {
        catalog.definitions.filter { definition in before.definitions.contains { $0.isSame(as: definition) } }
            .map(\.model.id)
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

    @Test("a folder with more entries than are looked at says so")
    func manyEntries() throws {
        for name in ["a", "b", "c"] { folder.write(name, permissions: 0o755) }
        var limits = limits
        limits.folderEntriesMax = 3
        #expect(try catalog(limits).ignored.isEmpty)
        limits.folderEntriesMax = 2
        let found = try catalog(limits)
        #expect(found.definitions.count == 2)
        #expect(reason("what else lies there", in: found)?.contains("beyond the 2 entries") == true)
    }

    @Test("of the builds for levels of processors, the best one for this processor stands for the backend")
    func builds() throws {
        for level in ["", ".x86-64-v3", ".x86-64-v4"] { folder.write("b\(level)", level, permissions: 0o755) }
        folder.write("b.json", "{}")
        func chosen(_ processor: ProcessorLevel?) throws -> String? {
            let found = try BackendFolder.scan(folder.path, limits: limits, processor: processor)
            #expect(Array(found.executables.keys) == ["b"] && found.ignored.isEmpty)
            return found.executables["b"]?.name
        }
        #expect(try chosen(.v4) == "b.x86-64-v4")
        #expect(try chosen(.v3) == "b.x86-64-v3")
        #expect(try chosen(.v2) == "b")
        #expect(try chosen(nil) == "b")
        // What may not be used, or is still being written, does not stand in the way of what can.
        folder.write("b.x86-64-v4", "", permissions: 0o777)
        #expect(try chosen(.v4) == "b.x86-64-v3")
    }

    @Test("a build that this processor cannot run is told, and another one that comes is run in its place")
    func buildsThatCome() throws {
        folder.write("b.x86-64-v4", permissions: 0o755)
        let weak = try BackendFolder.scan(folder.path, limits: limits, processor: .v2)
        #expect(weak.executables.isEmpty)
        #expect(weak.ignored.map(\.name) == ["b.x86-64-v4"])
        #expect(weak.ignored.first?.reason.contains("this one is x86-64-v2; bring a build for it, as b") == true)
        folder.remove("b.x86-64-v4")
        // Programs, because what cannot be run replaces nothing.
        try FileManager.default.copyItem(atPath: "/bin/true", toPath: folder.file("b"))
        let before = try catalog()
        #expect(before.definitions.map(\.path) == [folder.file("b")])
        try FileManager.default.copyItem(atPath: "/bin/false", toPath: folder.file("b.x86-64-v1"))
        guard ProcessorLevel.own != nil else { return }
        let after = try catalog(before: before)
        #expect(after.definitions.map(\.path) == [folder.file("b.x86-64-v1")])
        #expect(after.definitions.map(\.name) == ["b"] && same(after, as: before).isEmpty)
        folder.remove("b.x86-64-v1")
        let back = try catalog(before: after)
        #expect(back.definitions.map(\.path) == [folder.file("b")])
    }

    @Test("a manifest with two models gives two, in the order of names")
    func severalModels() throws {
        folder.write("b", permissions: 0o755)
        folder.write("a", permissions: 0o755)
        folder.write("a.json", #"{"models": [{"id": "two", "file": "two.gguf"}, {"id": "one"}]}"#)
        folder.write("two.gguf", "weights", permissions: 0o755)
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
        #expect(reason("b", in: found)?.contains("whose manifest is refused") == true)
        #expect(reason("b.json", in: found)?.contains("chmod go-w") == true)
    }

    @Test("a file that is still being written is left for later")
    func settling() throws {
        folder.write("echo", permissions: 0o755)
        var patient = limits
        patient.settledMilliseconds = 3_600_000
        let found = try catalog(patient)
        #expect(found.definitions.isEmpty)
        #expect(found.isSettling)
        #expect(found.ignored.isEmpty)
    }

    @Test("what was only touched is the same; what means something else is not, and only that")
    func changes() throws {
        folder.write("a", "1", permissions: 0o755)
        folder.write("a.json", #"{"models": [{"id": "x"}, {"id": "y"}]}"#)
        folder.write("b", "1", permissions: 0o755)
        let first = try catalog()
        #expect(first.definitions.map(\.model.id) == ["x", "y", "b"])
        utimes(folder.path + "/a", nil)
        utimes(folder.path + "/a.json", nil)
        let touched = try catalog(before: first)
        #expect(same(touched, as: first) == ["x", "y", "b"])
        #expect(touched.files.map(\.value) != first.files.map(\.value), "whoever failed is tried again")
        folder.write("a.json", #"{ "models":[{"id":"x"},{"id":"y", "contextTokens": 9},{"id":"z"}] }"#)
        let edited = try catalog(before: touched)
        #expect(edited.definitions.map(\.model.id) == ["x", "y", "z", "b"])
        #expect(same(edited, as: touched) == ["x", "b"])
        folder.write("a.json", #"{"threads": 2, "models": [{"id": "x"}]}"#)
        #expect(same(try catalog(before: edited), as: edited) == ["b"])
        folder.write("b", "2", permissions: 0o755)
        let text = try catalog(before: edited)
        #expect(same(text, as: edited) == ["b"], "what cannot be run replaces nothing")
        #expect(text.entries["b"]?.notice.contains("no ELF executable") == true)
    }

    @Test("a manifest that was saved half, mistyped or opened to others leaves the earlier one in force, and says why")
    func lastGoodManifest() throws {
        folder.write("a", "1", permissions: 0o755)
        folder.write("a.json", #"{"models": [{"id": "x"}]}"#)
        let first = try catalog()
        for (text, mode, reason) in [
            (#"{"models": [{"id": "x"}"#, 0o644, "a.json:1: "), ("", 0o644, "a.json:1: "),
            (#"{"modles": []}"#, 0o644, "unknown key 'modles'"),
            (#"{"models": [{"id": "y"}]}"#, 0o666, "writable by others"),
        ] as [(String, mode_t, String)] {
            folder.write("a.json", text)
            chmod(folder.path + "/a.json", mode)
            let found = try catalog(before: first)
            #expect(same(found, as: first) == ["x"])
            let notice = try #require(found.entries["a"]?.notice)
            #expect(notice.contains(reason) && notice.hasSuffix("the earlier settings are in force"), "\(notice)")
            folder.remove("a.json")
        }
        folder.write("a.json", #"{"models": [{"id": "x"}]}"#)
        #expect(try catalog(before: first).entries["a"]?.notice == "")
    }

    @Test("a file that is away for a moment, as editors replace it, changes nothing; one that stays away is gone")
    func replacedByEditor() throws {
        folder.write("a", "1", permissions: 0o755)
        folder.write("a.json", #"{"models": [{"id": "x"}]}"#)
        let first = try catalog()
        var patient = limits
        patient.settledMilliseconds = 3_600_000
        for name in ["a.json", "a"] {
            folder.remove(name)
            let found = try catalog(patient, before: first)
            #expect(same(found, as: first) == ["x"])
            #expect(found.isSettling)
        }
        #expect(try catalog(before: first).definitions.isEmpty)
        folder.write("a", "1", permissions: 0o755)
        #expect(try catalog(before: first).definitions.map(\.model.id) == ["a"])
    }

    @Test("what editors put beside the file that they edit is nothing to wonder about")
    func temporaryFiles() throws {
        folder.write("a", permissions: 0o755)
        for name in [".a.json.swp", "a.json~", "#a.json#", "4913", ".#a.json", "a~"] {
            folder.write(name, permissions: 0o755)
        }
        let found = try catalog()
        #expect(found.definitions.map(\.name) == ["a"])
        #expect(found.ignored.isEmpty)
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
        folder.write("a.json", #"{"models": [{"id": "a", "replicas": 2}]}"#)
        let several = try catalog(few)
        #expect(several.definitions.map(\.name) == ["a"] && several.definitions.map(\.replicas) == [2])
    }

    @Test("the folder of backends, a folder above it, and a foreign executable are refused when they are looked at")
    func scanned() throws {
        let inner = "\(folder.path)/a/backends"
        try FileManager.default.createDirectory(
            atPath: inner, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        folder.write("a/backends/x", permissions: 0o755)
        let found = try BackendFolder.scan(inner, limits: limits)
        #expect(found.executables.filter { $0.value.refusal == nil }.map(\.key) == ["x"])
        chmod("\(folder.path)/a", 0o777)
        let error = #expect(throws: SupervisorError.self) { try BackendFolder.scan(inner, limits: limits) }
        #expect(error.map { "\($0)" }?.contains("chmod go-w '\(folder.path)/a'") == true)
        chmod("\(folder.path)/a", 0o755)
        guard geteuid() == 0 else { return print("not tried, because only root can: a foreign executable") }
        chown("\(inner)/x", 12_345, 12_345)
        let foreign = try BackendFolder.scan(inner, limits: limits)
        #expect(foreign.executables["x"]?.refusal?.contains("owned by user 12345") == true)
        #expect(throws: SandboxError.self) { try BackendExecutable.open(folder: inner, name: "x").digest }
    }
}
