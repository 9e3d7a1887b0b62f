internal import EventLoop
internal import GRPC
internal import Glibc
internal import LinuxSystem
internal import Logging
internal import Synchronization

/// The process of a new agent that takes this one's place, a child of this one until this one ends.
@IOLoop
final class SuccessorProcess: ReadinessHandler {
    /// What it wrote is waited for so long after its end: another process may hold its standard error open.
    private static let lastLinesMilliseconds: UInt64 = 500

    private let process: ProcessHandle
    private let log: RelayedLog
    private let limits: UpgradeLimits
    private let logger: Logger
    private(set) var attempt: UpgradeAttempt
    private var watch: Watch?
    private var timer: Timer?
    private var outcome: Result<Void, Status>?
    private var waiters: [CheckedContinuation<Result<Void, Status>, Never>] = []

    init(
        _ child: Int32, program: String, log: RelayedLog, limits: UpgradeLimits, logger: Logger
    ) throws(LinuxError) {
        process = try ProcessHandle(child: child)
        attempt = UpgradeAttempt(program: program, pid: child)
        self.log = log
        self.limits = limits
        self.logger = logger
        watch = try IOLoop.watch(process, handler: self)
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

    /// An agent takes over from this one.
    func takesOver(_ pid: Int32) {
        guard attempt.takesOver(pid) else { return }
        finish(.success(()))
    }

    /// Has it end, unless it has taken over: at first as SIGTERM ends an agent, then by force.
    func end(_ end: UpgradeAttempt.End) {
        guard outcome == nil, attempt.end(end) else { return }
        process.send(signal: SIGTERM)
        timer?.cancel()
        timer = IOLoop.schedule(afterMilliseconds: limits.abandonedMilliseconds) { [weak self] in self?.process.kill() }
    }

    func ready(_ readiness: Readiness) {
        guard let exit = process.reap() else { return }
        watch?.unwatch()
        watch = nil
        guard !attempt.hasTakenOver else {
            return logger.warning("the agent that took over (pid \(pid)) \(exit)")
        }
        timer?.cancel()
        // The thread that reads what it wrote may be behind.
        timer = IOLoop.schedule(afterMilliseconds: Self.lastLinesMilliseconds) { [weak self] in self?.fail(exit) }
        log.onEnd { Task { @IOLoop [weak self] in self?.fail(exit) } }
    }

    private func fail(_ exit: ExitStatus) {
        guard outcome == nil else { return }
        let failure = attempt.failure(exit, wrote: log.lastWritten, agent: getpid())
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
