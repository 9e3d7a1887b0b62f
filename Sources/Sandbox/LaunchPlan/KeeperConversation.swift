package import LinuxSystem

/// The agent's end of what it and a keeper tell each other, held against the order in which a keeper can tell it: what is
/// known of the backend, and what was asked and not answered yet. A plain value.
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
    /// The keeper has said so, and was not asked to thaw it since.
    package private(set) var isFrozen = false
    /// In the order of asking.
    private var unanswered: [KeeperCommand] = []

    package init() {}

    /// Nothing follows.
    package var isOver: Bool {
        switch phase {
        case .launching, .running: false
        case .failed, .ended: true
        }
    }

    /// How the backend ended, by its keeper's word.
    package var end: ExitStatus? { if case .ended(let status, _) = phase { status } else { nil } }

    /// What it had used by then.
    package var use: ResourceUse? { if case .ended(_, let use) = phase { use } else { nil } }

    /// Why the launcher could not do its work.
    package var failure: LaunchFailure? { if case .failed(let failure) = phase { failure } else { nil } }

    /// What to send to have it done; nil when it was asked already, or is so. One that is still being launched is frozen
    /// as soon as it runs.
    package mutating func ask(_ command: KeeperCommand) -> [UInt8]? {
        guard !isOver, command != unanswered.last ?? (isFrozen ? .freeze : .thaw) else { return nil }
        unanswered.append(command)
        if command == .thaw { isFrozen = false }
        return command.encoded()
    }

    /// Takes one datagram. Throws for what no keeper would say, or not now: then nothing that it says means anything.
    package mutating func hear(_ datagram: [UInt8]) throws(RecordError) -> KeeperReport {
        let report = try KeeperReport(decoding: datagram)
        switch (report, phase) {
        case (.started, .launching):
            phase = .running
        case (.failed(let reason, let isTransient), .launching):
            phase = .failed(LaunchFailure(reason, isTransient: isTransient))
        case (.failed(let reason, _), .running):
            // What ran once may run again.
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
