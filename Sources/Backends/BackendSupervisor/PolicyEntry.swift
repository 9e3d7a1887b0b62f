internal import LinuxSystem
internal import SandboxPolicy

/// A policy file as it is in force for the backends that name it: the last state of it that was whole.
///
/// What a look finds goes into `merged`, what is in force from then on comes out. A file that is still being written, is gone
/// or cannot be understood changes nothing for those whom it held before.
struct PolicyEntry: Equatable, Sendable {
    /// Nil: none was whole yet, and a launch says why.
    var inForce: PolicyVersion?
    /// As the last look found the file.
    var facts: FileFacts?
    /// What of the file is not in force, and why; empty when it is.
    var notice = ""

    static func merged(
        path: String, before: PolicyEntry?, facts: FileFacts?, finding: BackendEntry.Finding<PolicyVersion>
    ) -> PolicyEntry {
        var entry = before ?? PolicyEntry()
        entry.facts = facts
        switch finding {
        case .usable(let version):
            entry.inForce = version
            entry.notice = ""
        // Nobody was ever held by another state of it: the launch tells what is wrong.
        case _ where entry.inForce == nil: break
        case .unsettled: break
        case .absent: entry.notice = "its policy, \(path), is gone; the earlier one is in force"
        case .refused(let reason), .unreadable(let reason):
            entry.notice = "its policy is refused: \(reason); the earlier one is in force"
        }
        return entry
    }
}

/// A policy that was read, and what it comes to.
struct PolicyVersion: Equatable, Sendable {
    let facts: FileFacts
    let policy: SeccompPolicy
    /// What it compiles to: its meaning. A comment, or another order of rules for other calls, does not change it.
    let filter: [UInt8]

    func hasSameMeaning(as other: PolicyVersion) -> Bool { filter == other.filter }
}
