internal import EventLoop
internal import GRPC
internal import Glibc
internal import Installation
internal import LinuxSystem
internal import Logging
internal import Settings
internal import Synchronization

/// A new agent that takes this one's place, by way of its parent (`SuccessorParent`), a child of this process.
@IOLoop
final class SuccessorProcess: ReadinessHandler {
    /// What it wrote is waited for so long after its end: another process may hold its standard error open.
    private static let lastLinesMilliseconds: UInt64 = 500
    private let started: StartedSuccessor
    private let limits: UpgradeLimits
    private let logger: Logger
    private(set) var attempt: UpgradeAttempt
    private var watch: Watch?
    private var timer: Timer?
    private var outcome: Result<Void, Status>?
    private var waiters: [CheckedContinuation<Result<Void, Status>, Never>] = []

    init(_ started: StartedSuccessor, limits: UpgradeLimits, logger: Logger) throws(LinuxError) {
        attempt = UpgradeAttempt(program: started.program, pid: started.pid)
        self.started = started
        self.limits = limits
        self.logger = logger
        watch = try IOLoop.watch(started.socket, .readable, handler: self)
        timer = IOLoop.schedule(afterMilliseconds: limits.upgradeMilliseconds) { [weak self] in
            self?.end(.late(milliseconds: limits.upgradeMilliseconds))
        }
    }

    var pid: Int32 { attempt.pid }
    /// Whether it has neither taken over nor ended.
    var comesUp: Bool { outcome == nil }

    /// Returns once it has taken over, or has ended without.
    func result() async -> Result<Void, Status> {
        if let outcome { return outcome }
        return await withCheckedContinuation { waiters.append($0) }
    }

    /// An agent takes over from this one. When this returns, that is the child of the service manager.
    func takesOver(_ pid: Int32) {
        guard outcome == nil, attempt.takesOver(pid) else { return }
        part()
        finish(.success(()))
    }

    /// Has it end, unless it has taken over: at first as SIGTERM ends an agent, then by force.
    func end(_ end: UpgradeAttempt.End) {
        guard outcome == nil, attempt.end(end) else { return }
        started.send(SIGTERM)
        timer?.cancel()
        timer = IOLoop.schedule(afterMilliseconds: limits.abandonedMilliseconds) { [started] in started.send(SIGKILL) }
    }

    func ready(_ readiness: Readiness) {
        let said = (try? Socket.receiveDatagram(started.socket.raw, max: SuccessorParent.wordBytesMax)) ?? .ended
        let exit: ExitStatus
        switch said {
        case .nothing: return
        case .received(let bytes):
            guard case .ended(let status)? = SuccessorParent.Report(bytes) else { return }
            exit = status
        // Somebody has killed the parent.
        case .ended: exit = .signalled(SIGKILL)
        }
        part()
        timer?.cancel()
        // The thread that reads what it wrote may be behind.
        timer = IOLoop.schedule(afterMilliseconds: Self.lastLinesMilliseconds) { [weak self] in self?.fail(exit) }
        started.log.onEnd { Task { @IOLoop [weak self] in self?.fail(exit) } }
    }

    private func part() {
        watch?.unwatch()
        watch = nil
        started.endParent()
    }

    private func fail(_ exit: ExitStatus) {
        guard outcome == nil else { return }
        let failure = attempt.failure(exit, wrote: started.log.lastWritten, agent: getpid())
        logger.error("\(failure.message)")
        finish(.failure(failure))
    }

    private func finish(_ result: Result<Void, Status>) {
        guard outcome == nil else { return }
        timer?.cancel()
        timer = nil
        outcome = result
        for waiter in waiters { waiter.resume(returning: result) }
        waiters.removeAll()
    }
}

/// A new agent that has been started.
final class StartedSuccessor: Sendable {
    /// A child of this process.
    let parent: ProcessHandle
    /// Its end of what it has with its parent.
    let socket: Descriptor
    let pid: Int32
    /// The path of its program, without links.
    let program: String
    let log: RelayedLog

    /// How long the start may take: a disk may be slow.
    private static let startNanoseconds: UInt64 = 30_000_000_000
    /// How long the parent may take to end, which has nothing else to do then.
    private static let partingNanoseconds: Int64 = 1_000_000_000

    /// Starts a program that this agent may rely on. Blocks for as long as that takes. Throws why it cannot be started.
    init(_ path: String, arguments: [String], environment variables: [String: String]) throws {
        program = try InstalledParts.trusted(program: path)
        let pipe = try Descriptor.pipe()
        let pair = try Socket.datagramPair()
        var environment = variables
        environment[SettingsEnvironment.laterLog] = "3"
        let child = try ProcessSpawn.spawn(
            // This agent's own program, whatever lies at its path now.
            "/proc/self/exe", arguments: [arguments[0], SuccessorParent.command, program] + arguments,
            environment: environment.map { "\($0.key)=\($0.value)" },
            descriptors: [STDIN_FILENO, STDOUT_FILENO, pipe.second.raw, STDERR_FILENO, pair.second.raw],
            inOwnSession: false)
        parent = try ProcessHandle(child: child)
        socket = pair.takeFirst()
        log = RelayedLog()
        // Without a thread its lines are lost, and nothing else.
        try? log.read(pipe.takeFirst())
        _ = try Poll.wait(socket.raw, for: .readable, nanoseconds: Self.startNanoseconds)
        switch try Socket.receiveDatagram(socket.raw, max: SuccessorParent.wordBytesMax) {
        case .received(let bytes):
            switch SuccessorParent.Report(bytes) {
            case .started(let pid)?: self.pid = pid
            case .failed(let reason)?: throw Self.failure(parent, reason)
            case .ended?, nil: throw Self.failure(parent, "its parent cannot be understood")
            }
        case .ended: throw Self.failure(parent, "its parent ended")
        case .nothing: throw Self.failure(parent, "its parent does nothing")
        }
    }

    /// Has the parent send it a signal.
    func send(_ signal: CInt) {
        _ = try? Socket.sendDatagram(socket.raw, SuccessorParent.order(signal), waits: false)
    }

    /// Has the parent end, and waits for that: the new agent, if it runs, has another one then.
    func endParent() {
        shutdown(socket.raw, CInt(SHUT_RDWR))
        _ = try? Poll.waitForAny(of: [(parent.raw, .readable)], nanoseconds: Self.partingNanoseconds)
        _ = parent.reap()
    }

    private static func failure(_ parent: borrowing ProcessHandle, _ reason: String) -> HostError {
        parent.kill()
        _ = parent.waitForExit()
        return HostError(reason)
    }
}

/// The standard error of a process, passed on to this process's own by a thread, which remembers the end of it.
final class RelayedLog: Sendable {
    private struct State {
        var last: [UInt8] = []
        var isOver = false
        var onEnd: (@Sendable () -> Void)?
    }

    private static let lastBytesMax = 4 << 10

    private let state = Mutex(State())

    /// Passes on what comes from a pipe until all its writers have closed it.
    func read(_ pipe: consuming Descriptor) throws(LinuxError) {
        let raw = pipe.release()
        do throws(LinuxError) {
            try DetachedThread.run { [self] in
                pass(Descriptor(owning: raw))
                let onEnd = state.withLock { state in
                    state.isOver = true
                    return state.onEnd
                }
                onEnd?()
            }
        } catch {
            close(raw)
            throw error
        }
    }

    /// The end of what was written so far.
    var lastWritten: String { state.withLock { String(decoding: $0.last, as: UTF8.self) } }

    /// Calls back once, on any thread, when all was read.
    func onEnd(_ call: @escaping @Sendable () -> Void) {
        let isOver = state.withLock { state in
            if !state.isOver { state.onEnd = call }
            return state.isOver
        }
        if isOver { call() }
    }

    private func pass(_ pipe: consuming Descriptor) {
        var piece = [UInt8](repeating: 0, count: Self.lastBytesMax)
        while true {
            let count = Glibc.read(pipe.raw, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            state.withLock { $0.last = ($0.last + piece[..<count]).suffix(Self.lastBytesMax) }
            var rest = piece[..<count]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if errno == EAGAIN {
                    // Another process that shares the descriptor has set it to non-blocking.
                    var wanted = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&wanted, 1, -1)
                } else if errno != EINTR {
                    break
                }
            }
        }
    }
}
