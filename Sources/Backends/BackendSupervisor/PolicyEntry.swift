internal import LinuxSystem
internal import SandboxPolicy

/// A policy file as it is in force for the backends that name it: the last state of it that was whole.
///
/// `merged` takes the findings of a look and returns the entry that is in force from then on. A file that is still
/// being written, is gone or cannot be understood changes nothing for the backends that it held before.
struct PolicyEntry: Equatable, Sendable {
    /// Nil: no version was whole yet, and a launch says why.
    var inForce: PolicyVersion?
    /// The facts of the file at the last look.
    var facts: FileFacts?
    /// Why the file is not in force; empty when it is.
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
        // No backend was ever held by another version: the launch tells what is wrong.
        case _ where entry.inForce == nil: break
        case .unsettled: break
        case .absent: entry.notice = "its policy, \(path), is gone; the earlier one is in force"
        case .refused(let reason), .unreadable(let reason):
            entry.notice = "its policy is refused: \(reason); the earlier one is in force"
        }
        return entry
    }
}

/// A policy that was read, and its compiled filter.
struct PolicyVersion: Equatable, Sendable {
    let facts: FileFacts
    /// SHA-256 of its bytes.
    let digest: [UInt8]
    let policy: SeccompPolicy
    /// The compiled filter, which is its meaning. A comment, or another order of rules for other calls, does not change
    /// it.
    let filter: [UInt8]

    func hasSameMeaning(as other: PolicyVersion) -> Bool { filter == other.filter }
}
