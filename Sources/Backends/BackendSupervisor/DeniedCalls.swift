package import LaunchPlan
internal import LinuxSystem
internal import SandboxPolicy
internal import SeccompFilter

/// The system calls that the filter denied to one backend since the agent began, over all its processes; bounded in
/// kinds.
package struct DeniedCalls: Sendable {
    /// Calls of one kind.
    package struct Entry: Sendable {
        /// The first of the kind, the answer that it got, and how many there were.
        package fileprivate(set) var call: SupervisedCall
        /// In milliseconds since 1970.
        package let firstSeenMilliseconds: UInt64
        /// The number of calls by processes that have ended.
        fileprivate var earlierCount: UInt64 = 0
    }

    /// In the order in which the kinds were first seen.
    package private(set) var entries: [Entry] = []
    /// The numbers of calls that this process was denied, the last one first; bounded as the entries are.
    private(set) var ofProcess: [UInt32] = []

    /// Takes a report of the launcher, which counts from the start of the process. The launcher names a kind by its first
    /// call; another process makes that with other addresses.
    mutating func note(_ call: SupervisedCall) {
        if call.errno != 0, call.call.number != SupervisedCall.otherKinds {
            ofProcess.removeAll { $0 == call.call.number }
            ofProcess.insert(call.call.number, at: 0)
        }
        if let index = entries.firstIndex(where: { Self.isSameKind($0.call, call) }) {
            entries[index].call.count = entries[index].earlierCount &+ call.count
        } else if entries.count <= LaunchPlan.Bounds.callKindsMax {
            let now = UInt64(max(0, FileFacts.clockNanoseconds() / 1_000_000))
            entries.append(Entry(call: call, firstSeenMilliseconds: now))
        }
    }

    private static let telling = Dictionary(
        LaunchPlanner.tellingArguments.map { ($0.call, $0.mask) }, uniquingKeysWith: { $0 | $1 })

    private static func isSameKind(_ one: SupervisedCall, _ other: SupervisedCall) -> Bool {
        guard one.call.number == other.call.number, one.errno == other.errno else { return false }
        let mask = telling[one.call.number] ?? 0
        return zip(one.call.arguments, other.call.arguments).enumerated().allSatisfy { index, arguments in
            mask & (1 << index) == 0 || arguments.0 == arguments.1
        }
    }

    /// The process has ended; the next one counts from 0.
    mutating func processEnded() {
        ofProcess = []
        for index in entries.indices { entries[index].earlierCount = entries[index].call.count }
    }
}
