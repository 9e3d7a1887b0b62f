package import EventLoop
internal import Glibc
package import LaunchPlan
package import LinuxSystem
package import SandboxLaunch

/// Watches one process in a sandbox: its output, its keeper's reports and its exit; and freezes and thaws it. Owned by its
/// `ManagedBackend`, its `ModelInspection`, or who else started it; the I/O loop's own.
@IOLoop
package final class BackendProcess {
    private static let paceMilliseconds: UInt64 = 250
    private static let readBytesMax = 64 << 10
    /// The most reads of its output: in one turn, and once it has ended, when nothing more is written and a pipe that
    /// it has enlarged can hold a mebibyte (fcntl(2), F_SETPIPE_SZ).
    private static let readsPerTurnMax = 2
    private static let lastReadsMax = 32
    /// The most reports of its keeper: in one turn, and once it has ended, when the socket holds no more than it has
    /// room for.
    private static let reportsPerTurnMax = 64
    private static let lastReportsMax = 4_096

    package let handles: SandboxedProcess
    private let limits: SupervisorConfiguration.Limits
    private let wrote: @IOLoop (UnsafeRawBufferPointer) -> Void
    private let denied: @IOLoop (SupervisedCall) -> Void
    private let exited: @IOLoop (BackendProcess, ExitStatus) -> Void
    private(set) var keeper: KeeperConversation
    /// Called each time when all of it has come to be frozen.
    var frozen: (@IOLoop () -> Void)?
    /// Called when its keeper was asked something or has answered.
    var keeperSpoke: (@IOLoop () -> Void)?
    /// The failure of a keeper that broke its protocol.
    private var breach: LaunchFailure?

    private var exitWatch: Watch?
    private var logWatch: Watch?
    private var logHandler: LogHandler?
    /// Bytes read from the output in this quarter of a second; a read counts as a line, too.
    private var pacedBytes = 0
    private var pacedLines = 0
    private var paceTimer: Timer?
    private var status: ExitStatus?
    private var lastTimer: Timer?
    private var keeperWatch: Watch?
    private var keeperHandler: KeeperHandler?
    /// Whether it is watched for nothing for now, and whether another agent has it.
    private var standsStill = false
    private var isAbandoned = false

    /// `wrote` is called with each piece of output, valid during the call; `denied` with the launcher's reports of
    /// denied system calls, each with the whole count of its kind; and `exited` once, when the process is reaped, its
    /// output is closed by all processes (or stays open for too long), and all of it was read.
    /// - Parameter keeper: how the conversation with its keeper stands, where another agent has begun it.
    package init(
        _ handles: SandboxedProcess, limits: SupervisorConfiguration.Limits,
        keeper: KeeperConversation = KeeperConversation(),
        wrote: @escaping @IOLoop (UnsafeRawBufferPointer) -> Void,
        denied: @escaping @IOLoop (SupervisedCall) -> Void,
        exited: @escaping @IOLoop (BackendProcess, ExitStatus) -> Void
    ) throws(LinuxError) {
        self.handles = handles
        self.limits = limits
        self.keeper = keeper
        self.wrote = wrote
        self.denied = denied
        self.exited = exited
        let logHandler = LogHandler(process: self)
        self.logHandler = logHandler
        let keeperHandler = KeeperHandler(process: self)
        self.keeperHandler = keeperHandler
        do throws(LinuxError) {
            try handles.log.setNonblocking(true)
            logWatch = try IOLoop.watch(handles.log, .readable, handler: logHandler)
            keeperWatch = try IOLoop.watch(handles.keeper, .readable, .first, handler: keeperHandler)
            exitWatch = try IOLoop.watch(handles.process, handler: self)
        } catch {
            // The handlers refer to this process, which will not exist.
            unwatchLog()
            unwatchKeeper()
            throw error
        }
    }

    /// The process id of the launcher.
    package var pid: Int32 { handles.process.processID }

    /// The failure of its launcher; nil when there is none.
    package var launchFailure: LaunchFailure? { breach ?? keeper.failure }

    /// The resources that it had used when it ended; nil before, and where its keeper could not tell.
    var use: ResourceUse? { keeper.use }

    /// Whether all of it is frozen: its keeper has reported so, and was not asked to thaw it since.
    var isFrozen: Bool { keeper.isFrozen }

    /// Freezes all its processes until `thaw`; during a launch, as soon as it runs. It keeps its memory, can be killed,
    /// and answers nothing, not even a Ping.
    func freeze() { ask(.freeze) }

    /// Lets its processes go on.
    func thaw() { ask(.thaw) }

    package func kill() {
        if status == nil, !isAbandoned { handles.process.kill() }
    }
}

// Passing it on to another agent.
extension BackendProcess {
    /// Whether it has not ended, as far as is known.
    var isRunning: Bool { status == nil && !keeper.isOver }

    /// Watches nothing until `goOnAlone` or `abandon`.
    func standStill() {
        standsStill = true
        exitWatch?.unwatch()
        exitWatch = nil
        // Its handler stays: it tells that the keeper has more to say.
        keeperWatch?.unwatch()
        keeperWatch = nil
        unwatchLog()
    }

    func goOnAlone() {
        guard standsStill else { return }
        standsStill = false
        do throws(LinuxError) {
            if status == nil { exitWatch = try IOLoop.watch(handles.process, handler: self) }
            if let keeperHandler {
                keeperWatch = try IOLoop.watch(handles.keeper, .readable, .first, handler: keeperHandler)
            }
        } catch {
            // What cannot be watched cannot be kept.
            kill()
        }
        if status == nil { watchLog() } else { finish() }
    }

    /// Leaves it to another agent. Its launcher is still reaped where it is a child.
    func abandon() {
        isAbandoned = true
        unwatchKeeper()
        logHandler = nil
        paceTimer?.cancel()
        lastTimer?.cancel()
        handles.abandon()
        guard status == nil, handles.process.isChild else { return }
        exitWatch = try? IOLoop.watch(handles.process, handler: self)
        if exitWatch == nil { try? DetachedThread.run { [handles] in _ = handles.process.waitForExit() } }
    }
}

// Its exit.
extension BackendProcess: ReadinessHandler {
    package func ready(_ readiness: Readiness) {
        guard status == nil, let ended = handles.process.reap() else { return }
        status = ended
        exitWatch?.unwatch()
        exitWatch = nil
        if isAbandoned { return }
        paceTimer?.cancel()
        paceTimer = nil
        hear(reportsMax: Self.lastReportsMax)
        // The bytes in the pipe were written before the exit; the end of the pipe shows that no descendant is left
        // either.
        if readLog(readsMax: Self.lastReadsMax) { return finish() }
        watchLog()
        lastTimer = IOLoop.schedule(afterMilliseconds: limits.exitMilliseconds) { [weak self] in self?.finish() }
    }

    private func finish() {
        guard let status, !standsStill else { return }
        unwatchKeeper()
        unwatchLog()
        logHandler = nil
        lastTimer?.cancel()
        lastTimer = nil
        // Without its keeper's report, only the exit of the launcher is known.
        exited(self, keeper.end ?? status)
    }
}

// Its keeper: never the backend, which does not have that socket.
extension BackendProcess {
    @IOLoop
    fileprivate final class KeeperHandler: ReadinessHandler {
        unowned let process: BackendProcess
        init(process: BackendProcess) { self.process = process }
        func ready(_ readiness: Readiness) { process.hear(reportsMax: BackendProcess.reportsPerTurnMax) }
    }

    /// Takes the keeper's reports, up to a bound; more wait for the next turn.
    private func hear(reportsMax: Int) {
        guard keeperWatch != nil else { return }
        do {
            for _ in 0..<reportsMax {
                switch try handles.hear() {
                case .nothing: return
                case .ended: return unwatchKeeper()
                case .received(let datagram):
                    switch try keeper.hear(datagram) {
                    case .supervised(let call): denied(call)
                    case .frozen where keeper.isFrozen:
                        frozen?()
                        keeperSpoke?()
                    case .frozen, .thawed: keeperSpoke?()
                    default: break
                    }
                    if keeper.isOver { return unwatchKeeper() }
                }
            }
        } catch {
            breakOff("\(error)")
        }
    }

    private func ask(_ command: KeeperCommand) {
        guard keeperWatch != nil, let datagram = keeper.ask(command) else { return }
        // Whoever goes on after a crash must not be surprised by an answer.
        keeperSpoke?()
        if !handles.tell(datagram) { breakOff("it does not hear what it is asked") }
    }

    /// A keeper that breaks the protocol is not trusted with a backend.
    private func breakOff(_ why: String) {
        breach = LaunchFailure(
            "the launcher says what no launcher says (\(why)); install hearth and hearth-sandbox together",
            isTransient: keeper.phase == .running, hasBegun: keeper.phase == .running)
        kill()
        unwatchKeeper()
    }

    private func unwatchKeeper() {
        keeperWatch?.unwatch()
        keeperWatch = nil
        keeperHandler = nil
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

    /// Reads what is there, up to a bound; returns whether the end was reached.
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
        guard logWatch == nil, !standsStill, let logHandler else { return }
        logWatch = try? IOLoop.watch(handles.log, .readable, handler: logHandler)
    }

    private func unwatchLog() {
        logWatch?.unwatch()
        logWatch = nil
    }
}
