internal import EventLoop
internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch

/// Watches one backend process: its output and its exit. Owned by its `ManagedBackend`; the I/O loop's own.
@IOLoop
final class BackendProcess {
    private static let paceMilliseconds: UInt64 = 250
    private static let readBytesMax = 64 << 10
    /// Of its output, in one turn; and once it has ended, when nobody writes any more and a pipe of its own making can
    /// hold a mebibyte (fcntl(2), F_SETPIPE_SZ).
    private static let readsPerTurnMax = 2
    private static let lastReadsMax = 32
    /// A pipe holds 64 KiB (pipe(7)).
    private static let reportReadsMax = 16

    let handles: SandboxedProcess
    private let limits: SupervisorConfiguration.Limits
    private let wrote: @IOLoop (UnsafeRawBufferPointer) -> Void
    private let denied: @IOLoop (SupervisedCall) -> Void
    private let exited: @IOLoop (BackendProcess, ExitStatus) -> Void
    /// Why its launcher could not do its work; nil as long as it does.
    private(set) var verdict: LaunchVerdict?

    private var exitWatch: Watch?
    private var logWatch: Watch?
    private var logHandler: LogHandler?
    /// Read from the output in this quarter of a second; a read counts as a line, too.
    private var pacedBytes = 0
    private var pacedLines = 0
    private var paceTimer: Timer?
    private var status: ExitStatus?
    private var lastTimer: Timer?
    private var reportWatch: Watch?
    private var reportHandler: ReportHandler?
    private var reports = LaunchReport.Reader()

    /// `wrote` is called with each piece of output, valid during the call, `denied` with what the launcher tells of calls
    /// that the filter denied, each time with the whole count of a kind, and `exited` once, when the process is
    /// reaped, nobody holds its output open any more (or does for too long), and all of it was read.
    init(
        _ handles: SandboxedProcess, limits: SupervisorConfiguration.Limits,
        wrote: @escaping @IOLoop (UnsafeRawBufferPointer) -> Void,
        denied: @escaping @IOLoop (SupervisedCall) -> Void,
        exited: @escaping @IOLoop (BackendProcess, ExitStatus) -> Void
    ) throws(LinuxError) {
        self.handles = handles
        self.limits = limits
        self.wrote = wrote
        self.denied = denied
        self.exited = exited
        let logHandler = LogHandler(process: self)
        self.logHandler = logHandler
        let reportHandler = ReportHandler(process: self)
        self.reportHandler = reportHandler
        do throws(LinuxError) {
            try handles.log.setNonblocking(true)
            logWatch = try IOLoop.watch(handles.log, .readable, handler: logHandler)
            reportWatch = try IOLoop.watch(handles.report, .readable, .first, handler: reportHandler)
            exitWatch = try IOLoop.watch(handles.process, handler: self)
        } catch {
            // The handlers know this process, which will not be there.
            unwatchLog()
            unwatchReport()
            throw error
        }
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
        if readLog(readsMax: Self.lastReadsMax) { return finish() }
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
        exited(self, status)
    }
}

// What the launcher tells: never the backend, which does not have that pipe.
extension BackendProcess {
    @IOLoop
    fileprivate final class ReportHandler: ReadinessHandler {
        unowned let process: BackendProcess
        init(process: BackendProcess) { self.process = process }
        func ready(_ readiness: Readiness) { process.readReport() }
    }

    /// Reads what the pipe can hold at most; more waits for the next turn.
    private func readReport() {
        var bytes = [UInt8](repeating: 0, count: LaunchReport.byteCountMax)
        for _ in 0..<Self.reportReadsMax {
            let count = read(handles.report.raw, &bytes, bytes.count)
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            guard count > 0 else { return unwatchReport() }
            reports.append(bytes.prefix(count))
            do throws(LaunchPlanError) {
                while let report = try reports.next() { take(report) }
            } catch {
                return unwatchReport()
            }
        }
    }

    private func take(_ report: LaunchReport) {
        switch report {
        case .supervised(let call): denied(call)
        case .failed(let verdict): self.verdict = verdict
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
        if readLog(readsMax: Self.readsPerTurnMax) {
            unwatchLog()
            if status != nil { finish() }
        } else if status == nil, pacedBytes >= limits.logReadBytesMax || pacedLines >= limits.logReadLinesMax {
            // Its writes block until the pause is over. Unwatched, because a hang-up is reported whatever the interest.
            unwatchLog()
        }
    }

    /// Reads what is there, up to a bound; whether the end was reached.
    private func readLog(readsMax: Int) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: Self.readBytesMax, alignment: 16) { buffer in
            for _ in 0..<readsMax {
                let count = read(handles.log.raw, buffer.baseAddress, buffer.count)
                if count == 0 { return true }
                if count < 0 {
                    if errno == EINTR { continue }
                    return errno != EAGAIN
                }
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                pace(bytes)
                wrote(bytes)
            }
            return false
        }
    }

    private func pace(_ bytes: UnsafeRawBufferPointer) {
        pacedBytes += bytes.count
        pacedLines += 1 + bytes.count { $0 == UInt8(ascii: "\n") }
        if paceTimer != nil || status != nil { return }
        paceTimer = IOLoop.schedule(afterMilliseconds: Self.paceMilliseconds) { [weak self] in
            guard let self else { return }
            paceTimer = nil
            pacedBytes = 0
            pacedLines = 0
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
