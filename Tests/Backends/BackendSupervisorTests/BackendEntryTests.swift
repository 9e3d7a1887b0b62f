import LinuxSystem
import SandboxPolicy
import TestPlaces
import Testing

@testable import BackendSupervisor

/// What a look at an executable and its manifest puts in force, in every state that the two can be in.
@Suite("BackendEntry")
struct BackendEntryTests {
    private let now = Monotonic(nanoseconds: 1_000_000_000_000)
    /// Facts that differ; which files they are does not matter.
    private let facts = ["/", "/dev/null", "/dev/zero", "/proc"].map { try! FileFacts(path: $0) }
    private let digest = [UInt8](repeating: 1, count: 32)

    private func version(_ index: Int, digest: [UInt8]? = nil) -> ExecutableVersion {
        ExecutableVersion(facts: facts[index], digest: digest)
    }

    private func manifest(_ index: Int, model: String) -> BackendEntry.ReadManifest {
        var manifest = BackendManifest(executableName: "a")
        manifest.models = [BackendManifest.Model(id: model)]
        return BackendEntry.ReadManifest(facts: facts[index], digest: digest, manifest: manifest)
    }

    private var before: BackendEntry {
        var entry = BackendEntry(
            name: "a", path: "/b/a", executable: version(0, digest: digest),
            manifest: manifest(1, model: "m").manifest)
        entry.manifestFacts = facts[1]
        entry.manifestDigest = digest
        return entry
    }

    @Test("another interpreter of the same script is another content")
    func interpreters() throws {
        let folder = TemporaryFolder()
        let script = folder.write("script", "#!\n", permissions: 0o755)
        func version(runBy product: String) throws -> ExecutableVersion {
            try ExecutableVersion(path: script, interpreter: Built.path(product), digests: DigestCache())
        }
        let (first, again, other) = (
            try version(runBy: "unruly"), try version(runBy: "unruly"), try version(runBy: "sandbox-probe")
        )
        #expect(first.hasSameContent(as: again) && first.facts == other.facts)
        #expect(!first.hasSameContent(as: other) && first.digest != other.digest)
        let unread = ExecutableVersion(facts: first.facts)
        #expect(!unread.hasSameContent(as: first), "a script, and a program")
    }

    private func merged(
        _ before: BackendEntry?, _ executable: BackendEntry.Finding<ExecutableVersion>,
        _ manifest: BackendEntry.Finding<BackendEntry.ReadManifest>, after milliseconds: UInt64 = 0
    ) -> BackendEntry.Outcome {
        BackendEntry.merged(
            "a", path: "/b/a", before: before, executable: executable, manifest: manifest,
            now: now.advanced(milliseconds: milliseconds), missingMilliseconds: 500)
    }

    private func inForce(_ outcome: BackendEntry.Outcome) -> BackendEntry? {
        if case .inForce(let entry) = outcome { entry } else { nil }
    }

    @Test("of what was not there before nothing is run until executable and manifest are whole")
    func first() {
        #expect(inForce(merged(nil, .usable(version(0)), .absent))?.definitions.map(\.model.id) == ["a"])
        let both = merged(nil, .usable(version(0)), .usable(manifest(1, model: "m")))
        #expect(inForce(both)?.definitions.map(\.model.id) == ["m"])
        #expect(merged(nil, .absent, .absent) == .nothing)
        #expect(merged(nil, .unsettled, .usable(manifest(1, model: "m"))) == .nothing)
        #expect(merged(nil, .usable(version(0)), .unsettled) == .nothing)
        #expect(merged(nil, .refused("a folder"), .absent) == .ignored("a folder"))
        guard case .ignored(let reason) = merged(nil, .usable(version(0)), .unreadable("a.json:1: x")) else {
            return #expect(Bool(false), "it is not run")
        }
        #expect(reason.contains("a.json:1: x"))
    }

    @Test("while either is being written both stay as they were, so that a pair is taken as one")
    func unsettled() {
        #expect(merged(before, .unsettled, .usable(manifest(2, model: "n"))) == .inForce(before))
        #expect(merged(before, .usable(version(2)), .unsettled) == .inForce(before))
    }

    @Test("what may not be trusted any more ends, whatever the manifest is")
    func refused() {
        #expect(merged(before, .refused("writable by others"), .unsettled) == .ignored("writable by others"))
        #expect(merged(before, .refused("writable by others"), .absent) == .ignored("writable by others"))
    }

    @Test("what cannot be understood leaves the earlier state of it in force, and the rest is taken")
    func unreadable() throws {
        let half = try #require(inForce(merged(before, .usable(version(2)), .unreadable("a.json:3: x"))))
        #expect(half.manifest == before.manifest)
        #expect(half.executable == version(2))
        #expect(half.notice == "its manifest is refused: a.json:3: x; the earlier settings are in force")
        let cut = try #require(inForce(merged(before, .unreadable("cut off"), .usable(manifest(2, model: "n")))))
        #expect(cut.executable == before.executable)
        #expect(cut.manifest.models.map(\.id) == ["n"])
        #expect(cut.notice.contains("cut off") && cut.notice.hasSuffix("the earlier one is in force"))
        let again = merged(half, .usable(version(2)), .usable(manifest(2, model: "m")))
        #expect(inForce(again)?.notice == "")
    }

    @Test("what is missing for a moment is as if it were there, and what stays away is gone")
    func missing() throws {
        let away = try #require(inForce(merged(before, .absent, .absent)))
        #expect(away.definitions.first?.isSame(as: before.definitions[0]) == true)
        #expect(inForce(merged(away, .absent, .absent, after: 499)) != nil)
        #expect(merged(away, .absent, .absent, after: 500) == .nothing)
        let back = merged(away, .usable(version(0, digest: digest)), .usable(manifest(1, model: "m")), after: 499)
        #expect(back == .inForce(before))
        let without = try #require(inForce(merged(before, .usable(version(0)), .absent)))
        #expect(without.manifest == before.manifest)
        let later = try #require(inForce(merged(without, .usable(version(0)), .absent, after: 500)))
        #expect(later.manifest == BackendManifest(executableName: "a"))
        #expect(later.missingSince == nil)
    }

    @Test("an executable is the same by its content, or by its facts where that was not read")
    func content() {
        #expect(version(0, digest: digest).hasSameContent(as: version(1, digest: digest)))
        #expect(version(0).hasSameContent(as: version(0, digest: digest)))
        #expect(!version(0).hasSameContent(as: version(1)))
        #expect(!version(0, digest: digest).hasSameContent(as: version(1, digest: [2])))
    }
}

extension BackendEntry {
    fileprivate var definitions: [BackendDefinition] {
        definitions(folder: "/b", owner: OwnerLimits(threads: 1))
    }
}
