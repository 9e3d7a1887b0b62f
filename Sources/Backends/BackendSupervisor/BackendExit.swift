internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import TerminalText

/// How a backend's process ended, in words: of its exit status, of what its launcher says, and of what the machine knows.
struct BackendExit: Equatable {
    /// What is known beside how it ended.
    struct Circumstances {
        /// The launcher's word, which comes on a socket that the backend does not have.
        var launchFailure: LaunchFailure?
        /// Its model was loaded.
        var wasReady = false
        /// Whether the kernel killed in its control group for lack of memory.
        var ranOutOfMemory = false
        /// What memory it may have, as the end of a sentence: "256 MiB beside its weights (memoryMebibytes in x.json)".
        var memory = ""
        /// The names of system calls that its filter denied, the last one first.
        var deniedCalls: [String] = []
        /// What it wrote, line by line.
        var lines: [String] = []
        /// The path of the weights that it had; nil: it had none.
        var weights: String?
    }

    /// As the end of a sentence about the backend. Of what the backend wrote there is nothing in it, so everybody may see
    /// it.
    let words: String
    /// The same for its owner, who sees also what it wrote and what it may have lacked.
    let detail: String
    /// Starting it again would end the same way.
    let isForOwner: Bool
    /// Until something of the machine has changed, which not every machine shows: it is seen by trying.
    let isOfHost: Bool

    private static let deniedCallsMax = 3
    private static let quotedCharactersMax = 200

    init(_ status: ExitStatus, _ known: Circumstances = Circumstances()) {
        if let failure = known.launchFailure {
            let what = failure.hasBegun ? "was ended by its launcher" : "was not started"
            words = "\(what): \(printable(failure.reason))"
            detail = words
            isForOwner = !failure.isTransient
            isOfHost = isForOwner
            return
        }
        isForOwner = false
        isOfHost = false
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
        // Every C library tries calls that are denied: whoever ended well did not miss them.
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
        if failed, !known.deniedCalls.isEmpty, !known.wasReady || signal == SIGSYS {
            let calls = known.deniedCalls.prefix(deniedCallsMax).joined(separator: ", ")
            hints.append("before, its filter denied \(calls)")
        }
        return hints
    }

    private static func quoted(_ line: String) -> String {
        let line = printable(line)
        return line.count > quotedCharactersMax ? "'\(line.prefix(quotedCharactersMax))...'" : "'\(line)'"
    }

    /// An abort after std::bad_alloc or a failed assertion, and a null pointer where an allocation was not looked at.
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

    /// Of the signals that commonly end processes (signal(7)).
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
