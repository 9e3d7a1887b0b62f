package import LaunchPlan
internal import LinuxSystem
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

    /// Takes a report of the launcher, which counts from the start of the process. The launcher names a kind by its
    /// first call; another process may make that with other arguments, which is another entry.
    mutating func note(_ call: SupervisedCall) {
        if call.errno != 0, call.call.number != SupervisedCall.otherKinds {
            ofProcess.removeAll { $0 == call.call.number }
            ofProcess.insert(call.call.number, at: 0)
        }
        if let index = entries.firstIndex(where: { $0.call.call == call.call && $0.call.errno == call.errno }) {
            entries[index].call.count = entries[index].earlierCount &+ call.count
        } else if entries.count <= LaunchPlan.Bounds.callKindsMax {
            let now = UInt64(max(0, FileFacts.clockNanoseconds() / 1_000_000))
            entries.append(Entry(call: call, firstSeenMilliseconds: now))
        }
    }

    /// The process has ended; the next one counts from 0.
    mutating func processEnded() {
        ofProcess = []
        for index in entries.indices { entries[index].earlierCount = entries[index].call.count }
    }
}
