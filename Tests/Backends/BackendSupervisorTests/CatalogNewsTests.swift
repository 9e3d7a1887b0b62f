import LinuxSystem
import Logging
import SandboxPolicy
import Testing

@testable import BackendSupervisor

struct CatalogNewsTests {
    private func entry(_ name: String, notice: String = "") -> BackendEntry {
        let facts = ExecutableVersion(facts: try! .init(path: "/dev/null"), digest: nil)
        var entry = BackendEntry(
            name: name, path: "/b/\(name)", executable: facts, manifest: BackendManifest(executableName: name))
        entry.notice = notice
        return entry
    }

    private var catalog: BackendCatalog {
        var catalog = BackendCatalog()
        catalog.entries = ["b": entry("b", notice: "its manifest is broken"), "a": entry("a", notice: "is gone")]
        catalog.entries["c"] = entry("c")
        var policy = PolicyEntry()
        policy.notice = "is refused"
        catalog.policies = ["strict": policy, "other": PolicyEntry()]
        catalog.ignored = [IgnoredFile(name: "x", reason: "no executable")]
        catalog.unserved = [UnservedFile(path: "/m/y", reason: "not whole")]
        return catalog
    }

    @Test func `what was not so before is told once, in one order`() {
        let news = catalog.news(since: BackendCatalog())
        #expect(
            news == [
                .init(level: .info, words: "not a backend: x is no executable"),
                .init(level: .warning, words: "not in force", metadata: ["backend": "a", "reason": "is gone"]),
                .init(
                    level: .warning, words: "not in force",
                    metadata: ["backend": "b", "reason": "its manifest is broken"]),
                .init(level: .info, words: "not served: /m/y is not whole"),
                .init(level: .warning, words: "not in force", metadata: ["policy": "strict", "reason": "is refused"]),
            ])
        #expect(catalog.news(since: catalog) == [])
    }

    @Test func `another reason is news, and none is not`() {
        var next = catalog
        next.entries["a"] = entry("a", notice: "is gone for good")
        next.entries["b"] = entry("b")
        next.ignored = []
        #expect(
            next.news(since: catalog) == [
                .init(level: .warning, words: "not in force", metadata: ["backend": "a", "reason": "is gone for good"])
            ])
    }
}
