internal import Glibc

/// Runs an engine as a backend of the agent.
public enum Backend {
    /// The socket to the agent; inherited at this number.
    public static let socketDescriptor: Int32 = 3

    /// Serves the contract on descriptor 3 until the agent closes it or sends `Shutdown`, then ends the process: with
    /// status 0 after an orderly end, otherwise with 1 and a line on standard error. Single-threaded.
    public static func run(_ engine: some Engine) -> Never {
        // A write to an agent that died returns EPIPE instead of a signal.
        signal(SIGPIPE, SIG_IGN)
        let loop = BackendLoop(engine, descriptor: socketDescriptor)
        lastWords = { loop.giveUp($0) }
        let status = loop.run()
        fflush(nil)
        // exit(3) would destroy objects that an engine's threads may still use.
        _exit(status)
    }

    /// Ends the process with a fault for the agent, from within a function of the engine that cannot throw, such as a C
    /// library's handler for fatal errors. Returns only when no engine is being served.
    public static func end(_ fault: EngineFault) {
        log(fault.message)
        lastWords?(fault)
    }

    /// Written by `run`, before the engine runs, and not again.
    nonisolated(unsafe) static var lastWords: ((EngineFault) -> Never)?

    /// Serves the contract on any socket, and returns the status that `run` exits with.
    package static func serve(_ engine: some Engine, on descriptor: Int32) -> Int32 {
        let loop = BackendLoop(engine, descriptor: descriptor)
        return loop.run()
    }

    /// A line for the owner, on standard error: `hearth logs` shows it.
    public static func log(_ line: String) {
        var line = line + "\n"
        line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// The current time of CLOCK_MONOTONIC, in nanoseconds; for `Pace.at`.
    public static var nowNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
