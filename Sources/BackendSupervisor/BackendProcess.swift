internal import EventLoop
internal import Glibc
internal import LaunchPlan
internal import LinuxSystem

/// Watches one backend process: its output and its exit. Owned by its `ManagedBackend`; the I/O loop's own.
@IOLoop
final class BackendProcess {
    private static let paceMilliseconds: UInt64 = 250
    private static let readBytesMax = 64 << 10

    let handles: BackendHandles
    private let limits: SupervisorConfiguration.Limits
    private let wrote: @IOLoop (UnsafeRawBufferPointer) -> Void
    private let denied: @IOLoop (SupervisedCall) -> Void
    private let exited: @IOLoop (ExitStatus) -> Void

    private var exitWatch: Watch?
    private var logWatch: Watch?
    private var logHandler: LogHandler?
    /// Read from the output in this quarter of a second.
    private var pacedBytes = 0
    private var paceTimer: Timer?
    private var status: ExitStatus?
    private var lastTimer: Timer?
    private var reportWatch: Watch?
    private var reportHandler: ReportHandler?

    /// `wrote` is called with each piece of output, valid during the call, `denied` with what the launcher tells of calls
    /// that the filter denied, each time with the whole count of a kind, and `exited` once, when the process is
    /// reaped, nobody holds its output open any more (or does for too long), and all of it was read.
    init(
        _ handles: BackendHandles, limits: SupervisorConfiguration.Limits,
        wrote: @escaping @IOLoop (UnsafeRawBufferPointer) -> Void,
        denied: @escaping @IOLoop (SupervisedCall) -> Void, exited: @escaping @IOLoop (ExitStatus) -> Void
    ) throws(LinuxError) {
        self.handles = handles
        self.limits = limits
        self.wrote = wrote
        self.denied = denied
        self.exited = exited
        let logHandler = LogHandler(process: self)
        self.logHandler = logHandler
        try handles.log.setNonblocking(true)
        logWatch = try IOLoop.watch(handles.log, .readable, handler: logHandler)
        let reportHandler = ReportHandler(process: self)
        self.reportHandler = reportHandler
        reportWatch = try IOLoop.watch(handles.report, .readable, .first, handler: reportHandler)
        exitWatch = try IOLoop.watch(handles.process, handler: self)
    }

    /// The launcher's process.
    var pid: Int32 { handles.process.processID }

    func kill() {
        if status == nil { handles.process.kill() }
    }
}

// Its exit.
extension BackendProcess: ReadinessHandler {
    func ready(_ readiness: Readiness) {
        guard status == nil, let ended = handles.process.reap() else { return }
        status = ended
        exitWatch?.unwatch()
        exitWatch = nil
        paceTimer?.cancel()
        paceTimer = nil
        readReport()
        // What is in the pipe now was written before the exit; its end tells that no descendant is left either.
        if readLog(bytesMax: 16 * Self.readBytesMax) { return finish() }
        watchLog()
        lastTimer = IOLoop.schedule(afterMilliseconds: limits.exitMilliseconds) { [weak self] in self?.finish() }
    }

    private func finish() {
        guard let status else { return }
        unwatchReport()
        unwatchLog()
        logHandler = nil
        lastTimer?.cancel()
        lastTimer = nil
        exited(status)
    }
}

// What its filter denied, as the launcher tells it: never the backend, which does not have that pipe.
extension BackendProcess {
    @IOLoop
    fileprivate final class ReportHandler: ReadinessHandler {
        unowned let process: BackendProcess
        init(process: BackendProcess) { self.process = process }
        func ready(_ readiness: Readiness) { process.readReport() }
    }

    /// Reads as many records as the launcher can have kinds; more wait for the next turn.
    private func readReport() {
        var record = [UInt8](repeating: 0, count: SupervisedCall.byteCount)
        for _ in 0...LaunchPlanLimits.callKindsMax {
            let count = read(handles.report.raw, &record, record.count)
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            guard count > 0, let call = SupervisedCall(decoding: record.prefix(count)) else { return unwatchReport() }
            denied(call)
        }
    }

    private func unwatchReport() {
        reportWatch?.unwatch()
        reportWatch = nil
        reportHandler = nil
    }
}

// Its output.
extension BackendProcess {
    @IOLoop
    fileprivate final class LogHandler: ReadinessHandler {
        unowned let process: BackendProcess
        init(process: BackendProcess) { self.process = process }
        func ready(_ readiness: Readiness) { process.logIsReadable() }
    }

    private func logIsReadable() {
        if readLog(bytesMax: Self.readBytesMax) {
            unwatchLog()
            if status != nil { finish() }
        } else if status == nil, pacedBytes >= limits.logReadBytesMax {
            // Its writes block until the pause is over. Unwatched, because a hang-up is reported whatever the interest.
            unwatchLog()
        }
    }

    /// Reads what is there, up to a bound; whether the end was reached.
    private func readLog(bytesMax: Int) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: Self.readBytesMax, alignment: 16) { buffer in
            var bytesLeft = bytesMax
            while bytesLeft > 0 {
                let count = read(handles.log.raw, buffer.baseAddress, buffer.count)
                if count == 0 { return true }
                if count < 0 {
                    if errno == EINTR { continue }
                    return errno != EAGAIN
                }
                bytesLeft -= count
                pace(count)
                wrote(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
            return false
        }
    }

    private func pace(_ count: Int) {
        pacedBytes += count
        if paceTimer != nil || status != nil { return }
        paceTimer = IOLoop.schedule(afterMilliseconds: Self.paceMilliseconds) { [weak self] in
            guard let self else { return }
            paceTimer = nil
            pacedBytes = 0
            watchLog()
        }
    }

    private func watchLog() {
        guard logWatch == nil, let logHandler else { return }
        logWatch = try? IOLoop.watch(handles.log, .readable, handler: logHandler)
    }

    private func unwatchLog() {
        logWatch?.unwatch()
        logWatch = nil
    }
}

/// What a launcher's exit status says about the backend in it (`LaunchStatus`).
struct BackendExit: Equatable {
    /// As the end of a sentence about the backend.
    let words: String
    /// Starting it again would end the same way.
    let isForOwner: Bool

    init(_ status: ExitStatus, lastLogLine: String?) {
        switch status {
        case .exited(LaunchStatus.failed):
            words = "was not started: \(lastLogLine ?? "the sandbox could not be set up")"
            isForOwner = true
        case .exited(let code) where (1...64).contains(code - LaunchStatus.signalBase):
            words = Self.killed(by: code - LaunchStatus.signalBase)
            isForOwner = false
        case .exited(let code):
            words = "exited with code \(code)"
            isForOwner = false
        case .signalled(let signal):
            words = Self.killed(by: signal)
            isForOwner = false
        }
    }

    private static func killed(by signal: CInt) -> String {
        "was killed by signal \(signal)" + (name(of: signal).map { " (\($0))" } ?? "")
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
