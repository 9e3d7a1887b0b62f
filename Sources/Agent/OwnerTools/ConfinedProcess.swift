internal import BackendDriver
internal import Dispatch
internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import SandboxLaunch
internal import Settings
internal import Synchronization

/// A backend in the sandbox, as the process of a `BackendDriver`. It reads what the backend writes to its standard
/// streams and what its keeper reports, on a thread of its own, until both have ended.
final class ConfinedProcess: DrivenProcess, Sendable {
    private static let linesMax = 20
    private static let readBytesMax = 64 << 10

    private struct Heard {
        var keeper = KeeperConversation()
        var status: ExitStatus?
        var lines: [String] = []
        var partial: [UInt8] = []
        var outputLines = 0
    }

    private let handles: SandboxedProcess
    private let heard: Mutex<Heard>
    private let isFollowed = DispatchSemaphore(value: 0)

    /// Waits until the backend was executed. Throws when its sandbox could not be made.
    init(_ handles: SandboxedProcess) throws {
        self.handles = handles
        var heard = Heard()
        while heard.keeper.phase == .launching {
            switch try handles.hear() {
            case .nothing: _ = try Poll.wait(handles.keeper.raw, for: .readable, nanoseconds: nil)
            case .ended: throw HostError("the launcher ended without a report; install Hearth again")
            case .received(let datagram): _ = try heard.keeper.hear(datagram)
            }
        }
        if let failure = heard.keeper.failure { throw HostError(failure.reason) }
        self.heard = Mutex(heard)
        try DetachedThread.run { self.follow() }
    }

    var lastOutput: [String] { heard.withLock { $0.lines } }
    /// Lines of its output.
    var outputLines: Int { heard.withLock { $0.outputLines } }
    /// The most memory that it had at once; nil: it has not ended, or its keeper could not tell.
    var memoryBytes: UInt64? { heard.withLock { $0.keeper.use?.memoryBytes } }

    func kill() {
        handles.process.kill()
        _ = try? awaitEnd(milliseconds: 5_000)
    }

    func awaitEnd(milliseconds: UInt64) throws(LinuxError) -> ExitStatus? {
        if let status = heard.withLock({ $0.status }) { return status }
        let deadline = Monotonic.now().advanced(milliseconds: milliseconds)
        while true {
            if let reaped = handles.process.reap() {
                // The launcher has ended; what it and the backend said before is read in a moment.
                _ = isFollowed.wait(timeout: .now() + .seconds(1))
                return heard.withLock {
                    $0.status = $0.keeper.end ?? reaped
                    return $0.status
                }
            }
            let rest = deadline.since(Monotonic.now())
            guard rest > 0 else { return nil }
            _ = try Poll.wait(handles.process.raw, for: .readable, nanoseconds: rest)
        }
    }

    private func follow() {
        var (log, keeper) = (handles.log.raw, handles.keeper.raw)
        while log >= 0 || keeper >= 0 {
            guard let ready = try? Poll.waitForAny(of: [(log, .readable), (keeper, .readable)], nanoseconds: nil) else {
                continue
            }
            if !ready[0].isEmpty, !readLog() { log = -1 }
            if !ready[1].isEmpty, !hearKeeper() { keeper = -1 }
        }
        isFollowed.signal()
    }

    /// False: nothing more comes.
    private func readLog() -> Bool {
        var bytes = [UInt8](repeating: 0, count: Self.readBytesMax)
        let count = read(handles.log.raw, &bytes, bytes.count)
        guard count > 0 else { return count < 0 && (errno == EAGAIN || errno == EINTR) }
        heard.withLock { heard in
            for byte in bytes[..<count] {
                if byte != UInt8(ascii: "\n") {
                    if heard.partial.count < 1_024 { heard.partial.append(byte) }
                    continue
                }
                heard.outputLines += 1
                heard.lines = heard.lines.suffix(Self.linesMax - 1) + [String(decoding: heard.partial, as: UTF8.self)]
                heard.partial = []
            }
        }
        return true
    }

    /// False: nothing more comes.
    private func hearKeeper() -> Bool {
        guard let datagram = try? handles.hear() else { return false }
        switch datagram {
        case .nothing: return true
        case .ended: return false
        case .received(let bytes):
            return heard.withLock { heard in (try? heard.keeper.hear(bytes)) != nil && !heard.keeper.isOver }
        }
    }
}
