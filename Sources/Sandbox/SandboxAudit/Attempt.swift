internal import Glibc
internal import LinuxSystem

/// How a process with a time limit ended, and what it wrote.
struct Attempt {
    /// Nil: it was killed at the time limit.
    let status: ExitStatus?
    let text: String

    /// The most that an attempt may write; a pipe holds it, so it is read at the end.
    private static let outputBytesMax = 64 << 10

    /// Waits for the end of `process`, with its whole session when it leads one, and reads what is left in `output`. Throws
    /// EINTR when `interruption` can be read; then they have ended as well.
    init(
        _ process: borrowing ProcessHandle, output: borrowing Descriptor, seconds: UInt64, interruption: CInt? = nil
    ) throws(LinuxError) {
        let deadline = Monotonic.now().advanced(milliseconds: seconds * 1000)
        let hasEnded = Result { () throws(LinuxError) in
            while case let left = deadline.since(Monotonic.now()), left > 0 {
                let ready = try Poll.wait(
                    process.raw, for: .readable, nanoseconds: left, interruption: interruption)
                if !ready.isEmpty { return true }
            }
            return false
        }
        // Its child processes, too.
        kill(-process.processID, SIGKILL)
        let ended = process.waitForExit()
        status = try hasEnded.get() ? ended : nil
        text = try Attempt.rest(of: output)
    }

    /// The bytes that can be read now.
    static func rest(of output: borrowing Descriptor) throws(LinuxError) -> String {
        try output.setNonblocking(true)
        var bytes = [UInt8](repeating: 0, count: outputBytesMax)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(output.raw, $0.baseAddress! + length, $0.count - length) }
            if count == 0 || count < 0 && errno == EAGAIN { break }
            guard count > 0 else { throw LinuxError.last("read what a probe prints") }
            length += count
        }
        return String(decoding: bytes[..<length], as: UTF8.self)
    }

    /// Runs a program as a child of this process, in a session of its own. Its descriptors are /dev/null, a pipe twice,
    /// and `descriptors` from 3 on.
    static func run(
        _ path: String, _ arguments: [String], environment: [String] = [], descriptors: [CInt] = [], seconds: UInt64,
        interruption: CInt? = nil
    ) throws(LinuxError) -> Attempt {
        let output = try Descriptor.pipe()
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        let started = try ProcessSpawn.spawn(
            path, arguments: arguments, environment: environment,
            descriptors: [null.raw, output.second.raw, output.second.raw] + descriptors)
        let process = try ProcessHandle(child: started)
        return try Attempt(process, output: output.first, seconds: seconds, interruption: interruption)
    }

    /// The probe's outcome by its exit status and output, or nil when they show none
    /// (Sources/Sandbox/sandbox-probe/probe.c).
    func outcome(of probe: Probe) -> ProbeOutcome? {
        switch status {
        case nil: return .timedOut
        case .signalled(let signal): return .ended(signal: signal)
        case .exited(0): return .done
        case .exited(1):
            let words = text.split(separator: "\n").last?.split(separator: " ", maxSplits: 2).map(String.init) ?? []
            return words.count == 3 && words[0] == probe.name && words[1] == "refused"
                // A probe that has no descriptor left cannot write the reason.
                ? .refused(words[2]) : .refused("no reason")
        case .exited: return nil
        }
    }
}
