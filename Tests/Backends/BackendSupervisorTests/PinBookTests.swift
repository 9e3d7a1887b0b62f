import Foundation
import LinuxSystem
import Logging
import SandboxPolicy
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("PinBook, and what it lets into force")
struct PinBookTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.file("pins.json") }
    private let facts = try! FileFacts(path: "/")

    private static func digest(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 32) }

    private func book(installed: [String: [UInt8]] = [:]) throws -> PinBook {
        try PinBook(
            state: folder.path, installed: { installed },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func entry(_ executable: UInt8?, _ manifest: UInt8?, policy: UInt8 = 3) throws -> BackendEntry {
        var entry = BackendEntry(
            name: "a", path: "/b/a", executable: ExecutableVersion(facts: facts),
            manifest: BackendManifest(executableName: "a"))
        entry.executable.fileDigest = executable.map(Self.digest)
        entry.manifestDigest = manifest.map(Self.digest)
        // Which digest belongs to which content does not matter here.
        let text = #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}"#
        entry.policy = PolicyVersion(
            facts: facts, digest: Self.digest(policy), policy: try SeccompPolicy.parse(Array(text.utf8), file: "p"),
            filter: [])
        return entry
    }

    @Test("what was seen first is in force for the next agent too, in a file that only its owner can read")
    func kept() throws {
        let first = try entry(1, 2)
        #expect(first.admitted(by: try book(), before: nil) == first)
        #expect(try FileFacts(path: path).permissions == 0o600)
        let next = try book()
        #expect(first.admitted(by: next, before: nil) == first)
        let changed = try entry(9, 2).admitted(by: next, before: nil)
        #expect(changed.distrust != nil && changed.executable.fileDigest == Self.digest(9))
    }

    @Test(
        "what has changed waits, and what was in force stays so; only another executable keeps it from starting again")
    func changed() throws {
        let book = try book()
        let before = try entry(1, 2).admitted(by: book, before: nil)
        for (found, words, mayStart) in [
            (try entry(9, 2), "its executable changed", false), (try entry(1, 9), "its manifest changed", true),
            (try entry(1, nil), "its manifest is gone", true), (try entry(1, 2, policy: 9), "its policy changed", true),
            (try entry(9, 9), "its manifest changed", false),
        ] {
            let admitted = found.admitted(by: book, before: before)
            #expect(admitted.refusal?.words.contains(words) == true)
            #expect(admitted.refusal?.words.contains("hearth backends trust a") == true)
            #expect((admitted.distrust == nil) == mayStart)
            #expect(admitted.executable == before.executable && admitted.policy == before.policy)
            #expect(admitted.manifestDigest == before.manifestDigest)
            // The next looks find the same, and one that finds what is pinned takes all back.
            #expect(found.admitted(by: book, before: admitted) == admitted)
            #expect(try entry(1, 2).admitted(by: book, before: admitted) == before)
        }
    }

    @Test("of what has never been in force nothing is kept")
    func neverInForce() throws {
        let book = try book()
        _ = try entry(1, 2).admitted(by: book, before: nil)
        let first = try entry(9, 2).admitted(by: book, before: nil)
        let second = try entry(8, 2).admitted(by: book, before: first)
        #expect(second.executable.fileDigest == Self.digest(8) && second.distrust != nil)
        // An agent has started with another manifest, before it had read the executable.
        let unread = try entry(nil, 9).admitted(by: book, before: nil)
        #expect(unread.distrust?.contains("its manifest changed") == true)
        #expect(try entry(1, 9).admitted(by: book, before: unread).manifestDigest == Self.digest(9))
        #expect(try entry(1, 9).admitted(by: book, before: unread).distrust != nil)
        #expect(try entry(1, 2).admitted(by: book, before: unread).distrust == nil)
    }

    @Test("an executable that was not read yet goes on, and is not pinned before it was")
    func unread() throws {
        let book = try book()
        let unread = try entry(nil, 2).admitted(by: book, before: nil)
        #expect(unread.refusal == nil && !FileManager.default.fileExists(atPath: path))
        _ = try entry(1, 2).admitted(by: book, before: unread)
        // One that was replaced before it was read: what runs of it goes on.
        let kept = try entry(9, 2).admitted(by: book, before: unread)
        #expect(kept.executable == unread.executable && kept.distrust != nil)
    }

    @Test("what its owner trusts is in force")
    func trusted() throws {
        let book = try book()
        let before = try entry(1, 2).admitted(by: book, before: nil)
        let waiting = try entry(9, nil).admitted(by: book, before: before)
        try book.trust("a", try #require(waiting.refusal).found)
        #expect(try entry(9, nil).admitted(by: book, before: waiting) == entry(9, nil))
        #expect(try entry(9, nil).admitted(by: self.book(), before: nil) == entry(9, nil))
        #expect(try entry(1, 2).admitted(by: book, before: nil).distrust != nil)
    }

    @Test("what an installation has put there needs no trust, under its own name only")
    func installed() throws {
        let list = ["backends/a": Self.digest(9), "policies/strict.json": Self.digest(8), "backends/b": Self.digest(7)]
        _ = try entry(1, 2).admitted(by: try book(), before: nil)
        let book = try book(installed: list)
        #expect(try entry(7, 2).admitted(by: book, before: nil).distrust != nil)
        #expect(try entry(8, 2).admitted(by: book, before: nil).distrust != nil)
        #expect(try entry(9, 2, policy: 8).admitted(by: book, before: nil) == entry(9, 2, policy: 8))
        // Pinned: the installation before is a change now.
        #expect(try entry(1, 2, policy: 8).admitted(by: book, before: nil).distrust != nil)
    }

    @Test(
        "pins that cannot be read or are not understood are an error with the file and the remedy",
        arguments: ["{", #"{"backends": [{"name": "a"}]}"#, #"{"pins": []}"#, ""])
    func corrupt(text: String) throws {
        let book = try book()
        let before = try entry(1, 2).admitted(by: book, before: nil)
        folder.write("pins.json", text, permissions: 0o600)
        let error = #expect(throws: SupervisorError.self) { try self.book() }
        #expect(error?.description.contains(path) == true && error?.description.contains("or remove it") == true)
        // For an agent that runs, too: what runs goes on, and nothing starts.
        let admitted = try entry(1, 2).admitted(by: book, before: before)
        #expect(admitted.distrust == error?.description)
        #expect(throws: SupervisorError.self) { try book.trust("a", try #require(admitted.refusal).found) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text, "it is not overwritten")
        folder.remove("pins.json")
        #expect(try entry(1, 2).admitted(by: book, before: admitted) == before)
    }

    @Test("pins that others can write are refused")
    func writable() throws {
        _ = try entry(1, 2).admitted(by: try book(), before: nil)
        chmod(path, 0o666)
        let error = #expect(throws: SupervisorError.self) { try self.book() }
        #expect(error?.description.contains("chmod go-w") == true, "\(error?.description ?? "")")
    }

    @Test("pins that another agent has written are followed")
    func shared() throws {
        let (one, other) = (try book(), try book())
        let before = try entry(1, 2).admitted(by: one, before: nil)
        #expect(try entry(9, 2).admitted(by: other, before: nil).distrust != nil)
        try other.trust("a", try #require(try entry(9, 2).admitted(by: other, before: nil).refusal).found)
        #expect(try entry(9, 2).admitted(by: one, before: before) == entry(9, 2))
    }

    @Test("what cannot be kept is not in force")
    func unkept() throws {
        let book = try book()
        folder.remove()
        let first = try entry(1, 2).admitted(by: book, before: nil)
        #expect(first.distrust?.contains("it cannot be pinned: ") == true && first.refusal?.changes == [])
    }
}
