import LinuxSystem
import SandboxPolicy
import Testing

@testable import BackendSupervisor

@Suite("PolicyEntry")
struct PolicyEntryTests {
    private let facts = try! FileFacts(path: "/")

    private func version(_ filter: [UInt8]) throws -> PolicyVersion {
        let text = #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}"#
        return PolicyVersion(
            facts: facts, digest: [], policy: try SeccompPolicy.parse(Array(text.utf8), file: "own.json"),
            filter: filter)
    }

    private func merged(
        _ before: PolicyEntry?, _ finding: BackendEntry.Finding<PolicyVersion>
    ) -> PolicyEntry {
        PolicyEntry.merged(path: "/p/own.json", before: before, facts: facts, finding: finding)
    }

    @Test("what is whole is in force, and says nothing")
    func usable() throws {
        let first = merged(nil, .usable(try version([1])))
        #expect(first.inForce == (try version([1])) && first.notice == "")
        #expect(merged(merged(first, .unreadable("x")), .usable(try version([2]))).inForce?.filter == [2])
        #expect(merged(merged(first, .unreadable("x")), .usable(try version([2]))).notice == "")
    }

    @Test("what is gone, half written or not understood leaves the last good state in force, and says so")
    func unusable() throws {
        let good = merged(nil, .usable(try version([1])))
        #expect(merged(good, .unsettled) == good)
        let gone = merged(good, .absent)
        #expect(gone.inForce == good.inForce)
        #expect(gone.notice == "its policy, /p/own.json, is gone; the earlier one is in force")
        let bad = merged(gone, .unreadable("/p/own.json:3: unknown system call"))
        #expect(bad.inForce == good.inForce)
        #expect(
            bad.notice == "its policy is refused: /p/own.json:3: unknown system call; the earlier one is in force")
    }

    @Test("where none was ever whole there is none, and the launch says why")
    func never() {
        for finding in [.absent, .unsettled, .unreadable("x")] as [BackendEntry.Finding<PolicyVersion>] {
            let entry = merged(nil, finding)
            #expect(entry.inForce == nil && entry.notice == "")
        }
    }
}
