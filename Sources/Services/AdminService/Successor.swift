internal import GRPC

/// The process that an agent makes way for: the first that asks, and no other. Pure.
struct Successor: Equatable {
    /// The process id; nil: the agent goes on.
    private(set) var pid: Int32?

    /// Throws FAILED_PRECONDITION when the agent makes way for a process already.
    mutating func become(_ pid: Int32) throws(Status) {
        if let pid = self.pid {
            throw Status(.failedPrecondition, "this agent makes way for the one with pid \(pid) already")
        }
        self.pid = pid
    }

    /// The process gives up, and the agent goes on.
    mutating func giveUp() { pid = nil }
}
