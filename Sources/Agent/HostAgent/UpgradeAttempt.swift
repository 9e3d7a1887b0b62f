internal import GRPC
internal import LinuxSystem

/// What becomes of a new agent that was started to take this one's place. Pure.
struct UpgradeAttempt: Equatable {
    /// Why a new agent is ended before it has taken over.
    enum End: Equatable {
        /// It has not taken over in time.
        case late(milliseconds: UInt64)
        /// Whoever asked for it has gone.
        case givenUp
        /// This agent ends itself.
        case stopped
    }

    /// The path of its program.
    let program: String
    let pid: Int32
    private(set) var hasTakenOver = false
    private(set) var end: End?

    init(program: String, pid: Int32) {
        self.program = program
        self.pid = pid
    }

    /// An agent takes over; returns whether it is this one.
    mutating func takesOver(_ pid: Int32) -> Bool {
        if pid == self.pid { hasTakenOver = true }
        return pid == self.pid
    }

    /// Returns whether its process has to be ended now: not one that has taken over, and each only once.
    mutating func end(_ end: End) -> Bool {
        guard !hasTakenOver, self.end == nil else { return false }
        self.end = end
        return true
    }

    /// What is said of one that has not taken over. `exit`: how its process ended; `wrote`: to its standard error; `agent`:
    /// the number of this process.
    func failure(_ exit: ExitStatus, wrote: String, agent: Int32) -> Status {
        let what =
            switch end {
            case nil: "\(exit)"
            case .late(let milliseconds):
                "did not take over within \(milliseconds / 1_000) s (upgradeMilliseconds) and was ended"
            case .givenUp: "was ended, because nobody waits for it any more"
            case .stopped: "was ended, because this agent ends"
            }
        let lines = Self.lastLines(wrote)
        let goesOn = end == .stopped ? "" : "; the agent with pid \(agent) goes on"
        return Status(
            // What its owner can mend, such as a setting, has a code of its own (Docs/exit-codes.md).
            end == nil && exit == .exited(78) ? .failedPrecondition : .internalError,
            "the new agent (\(program), pid \(pid)) \(what)\(lines.isEmpty ? "" : ": \(lines)")\(goesOn)")
    }

    private static let linesMax = 3
    private static let lineCharactersMax = 600

    /// The last lines of a text in one; where a command ends with its reason, only that.
    static func lastLines(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).suffix(linesMax).map {
            String($0.prefix(lineCharactersMax))
        }
        let reason = "hearth: "
        if let last = lines.last, last.hasPrefix(reason) { return String(last.dropFirst(reason.count)) }
        return lines.joined(separator: " / ")
    }
}

/// The command line of an agent that takes the place of another one. Pure.
enum SuccessorCommand {
    private static let serve = "serve"
    private static let takeOver = "--take-over"
    /// Of an agent that ends with the command that started it.
    private static let untilClosed = "--until-closed"

    /// That of the agent before, with --take-over. `serviceState`: the state folder of a service, which a root who gave up
    /// his rights would not find again; nil for other agents. Throws for an agent that nothing can take the place of.
    static func arguments(
        _ arguments: [String], environment: [String: String], serviceState: String?
    ) throws(Status) -> [String] {
        guard arguments.count > 1, arguments[1] == serve else {
            throw Status(
                .failedPrecondition, "this agent was not started by 'hearth serve', so no other can take its place")
        }
        let flags = arguments.dropFirst(2).filter { $0 != takeOver }
        guard !flags.contains(where: { $0 == untilClosed || $0.hasPrefix(untilClosed + "=") }) else {
            throw Status(
                .failedPrecondition,
                "this agent belongs to the command that started it, and ends with it: start that anew")
        }
        let namesState =
            flags.contains { $0 == "--state" || $0.hasPrefix("--state=") } || environment["HEARTH_STATE"] != nil
        let state = namesState ? [] : serviceState.map { ["--state", $0] } ?? []
        return [arguments[0], serve, takeOver] + state + flags
    }
}
