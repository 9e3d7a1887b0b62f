package import LinuxSystem

/// The agent's state machine for its socket to a keeper: checks the order of the keeper's reports, and keeps the state
/// of the backend and the commands that were not answered yet. A plain value.
package struct KeeperConversation: Sendable {
    package enum Phase: Equatable, Sendable {
        /// The launcher makes the sandbox.
        case launching
        /// The backend was executed.
        case running
        case failed(LaunchFailure)
        case ended(ExitStatus, ResourceUse)
    }

    package private(set) var phase = Phase.launching
    /// Whether the keeper has reported `frozen`, and was not asked to thaw since.
    package private(set) var isFrozen = false
    /// Commands without an answer, in the order in which they were sent.
    package private(set) var unanswered: [KeeperCommand] = []

    package init() {}

    /// Goes on with the conversation of another agent, which stood so.
    package init(hasStarted: Bool, isFrozen: Bool, unanswered: [KeeperCommand]) {
        phase = hasStarted ? .running : .launching
        self.isFrozen = isFrozen && unanswered.isEmpty
        self.unanswered = unanswered
    }

    /// Whether no further report can come.
    package var isOver: Bool {
        switch phase {
        case .launching, .running: false
        case .failed, .ended: true
        }
    }

    /// How the backend ended, as the keeper reported.
    package var end: ExitStatus? { if case .ended(let status, _) = phase { status } else { nil } }

    /// The resources that it had used.
    package var use: ResourceUse? { if case .ended(_, let use) = phase { use } else { nil } }

    /// Why the launch failed.
    package var failure: LaunchFailure? { if case .failed(let failure) = phase { failure } else { nil } }

    /// The datagram to send for a command; nil when it was sent already, or has no effect. A backend that is still
    /// being launched is frozen as soon as it runs.
    package mutating func ask(_ command: KeeperCommand) -> [UInt8]? {
        guard !isOver, command != unanswered.last ?? (isFrozen ? .freeze : .thaw) else { return nil }
        unanswered.append(command)
        if command == .thaw { isFrozen = false }
        return command.encoded()
    }

    /// Takes one datagram. Throws for one that a keeper would not send, or not now; its later datagrams must then be
    /// ignored.
    package mutating func hear(_ datagram: [UInt8]) throws(RecordError) -> KeeperReport {
        let report = try KeeperReport(decoding: datagram)
        switch (report, phase) {
        case (.started, .launching):
            phase = .running
        case (.failed(let reason, let isTransient), .launching):
            phase = .failed(LaunchFailure(reason, isTransient: isTransient))
        case (.failed(let reason, _), .running):
            // The backend ran before, so another launch may succeed.
            phase = .failed(LaunchFailure(reason, isTransient: true, hasBegun: true))
        case (.supervised, .running): break
        case (.frozen, .running) where unanswered.first == .freeze:
            unanswered.removeFirst()
            isFrozen = unanswered.isEmpty
        case (.thawed, .running) where unanswered.first == .thaw:
            unanswered.removeFirst()
        case (.ended(let status, let use), .launching), (.ended(let status, let use), .running):
            phase = .ended(status, use)
        default: throw RecordError("report: not at this time")
        }
        if isOver { isFrozen = false }
        return report
    }
}
