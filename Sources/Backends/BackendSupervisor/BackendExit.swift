internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import TerminalText

/// How a backend's process ended, in words: from its exit status, its launcher's report and other circumstances.
struct BackendExit: Equatable {
    /// What is known besides the exit status.
    struct Circumstances {
        /// The launcher's report, which comes on a socket that the backend does not have.
        var launchFailure: LaunchFailure?
        /// Whether its model was loaded.
        var wasReady = false
        /// Whether the kernel killed a process of its control group for lack of memory.
        var ranOutOfMemory = false
        /// The memory that it may have, as the end of a sentence: "256 MiB beside its weights (memoryMebibytes in
        /// x.json)".
        var memory = ""
        /// The names of system calls that its filter denied, the last one first.
        var deniedCalls: [String] = []
        /// The lines of its output.
        var lines: [String] = []
        /// The path of its weights; nil: it had none.
        var weights: String?
    }

    /// The end of a sentence about the backend. It contains nothing that the backend wrote, so everybody may see it.
    let words: String
    /// The same for its owner, with the backend's output and what it may have lacked.
    let detail: String
    /// Whether another start would end the same way.
    let isForOwner: Bool
    /// Whether that holds until a setting of the machine changes. Not every machine shows such a change: it is found by
    /// trying.
    let isOfHost: Bool
    /// Whether the process failed at its work; otherwise somebody else has ended it.
    let isFailure: Bool

    private static let deniedCallsMax = 3
    private static let quotedCharactersMax = 200

    init(_ status: ExitStatus, _ known: Circumstances = Circumstances()) {
        if let failure = known.launchFailure {
            let what = failure.hasBegun ? "was ended by its launcher" : "was not started"
            words = "\(what): \(printable(failure.reason))"
            detail = words
            isForOwner = !failure.isTransient
            isOfHost = isForOwner
            isFailure = false
            return
        }
        isForOwner = false
        isOfHost = false
        // The kernel says where it kills a process for want of the memory that the process may have. Otherwise SIGKILL comes
        // from a person, or from a machine that has no memory left.
        isFailure = known.ranOutOfMemory || status != .signalled(SIGKILL)
        if known.ranOutOfMemory {
            words = "ran out of memory"
            detail = "\(words): it may have \(known.memory)"
            return
        }
        var signal: CInt?
        switch status {
        case .exited(let code): words = "exited with code \(code)"
        case .signalled(let number):
            signal = number
            words = "was killed by signal \(number)" + (Self.name(of: number).map { " (\($0))" } ?? "")
        }
        // Every C library tries calls that are denied; a process that ended well did not need them.
        let failed = status != .exited(0)
        detail = ([words] + Self.hints(signal: signal, known, failed: failed)).joined(separator: "; ")
    }

    private static func hints(signal: CInt?, _ known: Circumstances, failed: Bool) -> [String] {
        var hints: [String] = []
        let lack = known.lines.last(where: isAboutMemory)
        if let line = lack {
            hints.append("it lacked memory (\(quoted(line))): it may have \(known.memory)")
        } else if let last = known.lines.last(where: { !$0.isEmpty }) {
            hints.append("its last words were \(quoted(last))")
        }
        if signal == SIGBUS, let weights = known.weights {
            hints.insert("its weights, \(weights), changed under it or could not be read", at: 0)
        }
        if signal == SIGKILL {
            hints.append("the kernel does this where the machine has no memory left: see dmesg")
        } else if !known.wasReady, lack == nil, let signal, endsWithoutMemory.contains(signal) {
            hints.append("programs end so when they get no memory: it may have \(known.memory)")
        }
        if failed, !known.wasReady || signal == SIGSYS, let denial = denial(known.deniedCalls) { hints.append(denial) }
        return hints
    }

    /// What its filter denied before, in words; nil: nothing. `calls`: their names, the last one first.
    static func denial(_ calls: [String]) -> String? {
        calls.isEmpty ? nil : "before, its filter denied \(calls.prefix(deniedCallsMax).joined(separator: ", "))"
    }

    private static func quoted(_ line: String) -> String {
        let line = printable(line)
        return line.count > quotedCharactersMax ? "'\(line.prefix(quotedCharactersMax))...'" : "'\(line)'"
    }

    /// Signals that follow a lack of memory: an abort after std::bad_alloc or a failed assertion, or the use of a null
    /// pointer from an unchecked allocation.
    private static let endsWithoutMemory: Set<CInt> = [SIGABRT, SIGSEGV, SIGTRAP, SIGILL]

    private static let wordsOfMemory = [
        "bad_alloc", "out of memory", "out-of-memory", "cannot allocate", "can't allocate", "could not allocate",
        "failed to allocate", "unable to allocate", "allocation failed", "memory exhausted", "memoryerror", "enomem",
        "not enough memory", "no memory", "insufficient memory",
    ]

    private static func isAboutMemory(_ line: String) -> Bool {
        let line = line.lowercased()
        return wordsOfMemory.contains { line.contains($0) }
    }

    /// The name of a signal that commonly ends processes (signal(7)); nil for others.
    private static func name(of signal: CInt) -> String? {
        switch signal {
        case SIGHUP: "SIGHUP"
        case SIGINT: "SIGINT"
        case SIGQUIT: "SIGQUIT"
        case SIGILL: "SIGILL"
        case SIGTRAP: "SIGTRAP"
        case SIGABRT: "SIGABRT"
        case SIGBUS: "SIGBUS"
        case SIGFPE: "SIGFPE"
        case SIGKILL: "SIGKILL"
        case SIGSEGV: "SIGSEGV"
        case SIGPIPE: "SIGPIPE"
        case SIGALRM: "SIGALRM"
        case SIGTERM: "SIGTERM"
        case SIGXCPU: "SIGXCPU"
        case SIGXFSZ: "SIGXFSZ"
        case SIGSYS: "SIGSYS"
        default: nil
        }
    }
}
