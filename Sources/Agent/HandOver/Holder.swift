package import EventLoop
internal import Glibc
internal import LinuxSystem
package import Logging

/// The agent's end of its holder, a process that keeps parcels over the agent's death. One that ends by itself is started
/// again, and gets everything anew.
@IOLoop
package final class Holder {
    /// The name of the socket in the state folder on which a holder gives what it holds.
    package nonisolated static let socketName = "held.sock"

    /// How long the other side may take for its next parcel.
    private nonisolated static let answerMilliseconds: UInt64 = 10_000
    /// The time before a holder that has ended is started again, which doubles with each that ends early.
    private static let restartMilliseconds: ClosedRange<UInt64> = 100...60_000

    private let program: String
    private let path: String
    private let logger: Logger
    package let seconds: UInt32
    private var listener: ParcelListener?
    /// Which file of the path is the listener's: another agent may have put its own in the place.
    private var listenerFile: (device: UInt64, number: UInt64)?

    /// All that the holder is to have, for one that is started anew.
    private var held: HeldParcels
    private var running: RunningHolder?
    private var restart: Timer?
    private var restartMilliseconds = Holder.restartMilliseconds.lowerBound
    private var startedAt = Monotonic(nanoseconds: 0)
    private var isOver = false

    /// - Parameter program: the path of `hearth-holder`.
    /// - Parameter seconds: how long it keeps what it has once this process has died.
    /// - Parameter bounds: those of the holder, which has as many descriptors as this process.
    package init(
        program: String, state: String, seconds: UInt32, bounds: HeldLimits = HeldLimits(),
        logger: Logger
    ) {
        self.program = program
        path = "\(state)/\(Self.socketName)"
        self.seconds = seconds
        held = HeldParcels(bounds)
        self.logger = logger
    }

    /// Starts the process. Throws where it cannot be started, or no socket can be made in the state folder.
    package func start() throws(ParcelError) {
        let listener = try ParcelListener(atPath: path)
        self.listener = listener
        listenerFile = Self.file(at: path)
        try run()
    }

    /// The process id of the holder; nil while none runs.
    package var processID: Int32? { running?.processID }
    /// How many parcels it holds, or is to hold.
    package var count: Int { held.count }
    package var byteCount: Int { held.byteCount }
    /// Whether a holder runs, and all that it is to have is on its way to it: it would get it, whatever happens to this
    /// process.
    package var isTold: Bool { running?.isTold == true }

    /// Has this parcel kept, in the place of the one with the same key. Its descriptors are the holder's from now on, and
    /// this object's; a backend's end is hung up only once it is forgotten. Returns false where that would be too much to
    /// keep.
    @discardableResult
    package func keep(_ parcel: Parcel) -> Bool {
        guard !isOver, held.keep(parcel) else { return false }
        running?.send(parcel)
        return true
    }

    /// Has the parcel with this key kept no longer.
    package func forget(_ key: UInt64) {
        held.forget(key)
        running?.forget(key)
    }

    /// Ends the holder: this process ends in order, or another one has everything. Returns once it has ended.
    package func farewell() async {
        guard !isOver else { return }
        isOver = true
        restart?.cancel()
        for parcel in held.all { held.forget(parcel.key) }
        // Its own, and no other agent's.
        if let listenerFile, let now = Self.file(at: path), now == listenerFile { unlink(path) }
        listener = nil
        await running?.farewell()
        running = nil
    }

    private func run() throws(ParcelError) {
        guard let listener else { return }
        startedAt = .now()
        running = try RunningHolder(program: program, listener: listener) { [weak self] status in
            self?.ended(status)
        }
        running?.send(Parcel(.hello, HolderHello(seconds: seconds).bytes))
        for parcel in held.all { running?.send(parcel) }
    }

    private func ended(_ status: ExitStatus?) {
        running = nil
        guard !isOver else { return }
        if startedAt.advanced(milliseconds: Self.restartMilliseconds.upperBound) <= .now() {
            restartMilliseconds = Self.restartMilliseconds.lowerBound
        }
        let why = status.map { "hearth-holder \($0)" } ?? "hearth-holder takes nothing any more"
        logger.error("\(why): until it runs again, in \(restartMilliseconds) ms, nothing would survive a crash")
        restart = IOLoop.schedule(afterMilliseconds: restartMilliseconds) { [weak self] in self?.runAgain() }
        restartMilliseconds = min(restartMilliseconds * 2, Self.restartMilliseconds.upperBound)
    }

    private func runAgain() {
        guard !isOver else { return }
        do throws(ParcelError) {
            try run()
            logger.notice("hearth-holder runs again, and has all that it had")
        } catch {
            logger.error("hearth-holder cannot be started: \(error)")
            ended(nil)
        }
    }

    private nonisolated static func file(at path: String) -> (device: UInt64, number: UInt64)? {
        var facts = stat()
        guard lstat(path, &facts) == 0 else { return nil }
        return (UInt64(facts.st_dev), UInt64(facts.st_ino))
    }
}

// What an agent before this one has left.
extension Holder {
    /// Takes everything that a holder keeps of an agent that died, whose state folder this was. Nil: nothing is held, be it
    /// that no holder runs or that its agent lives. A holder that has not seen yet that its agent has died sees it first.
    package static func takeBack(state: String, logger: Logger) async -> [Parcel]? {
        let path = "\(state)/\(socketName)"
        let socket: ParcelSocket
        do throws(ParcelError) {
            socket = try ParcelSocket.connect(toPath: path)
        } catch {
            if case .system(let reason) = error, reason.code == ENOENT { return nil }
            if case .system(let reason) = error, reason.code == ECONNREFUSED {
                // A holder that has ended has left it behind.
                unlink(path)
                return nil
            }
            logger.error("what an agent before this one may have left cannot be had: \(error)")
            return nil
        }
        do throws(ParcelError) {
            return try await takeAll(from: ParcelStream(socket))
        } catch {
            logger.error("what an agent before this one has left cannot be had: \(error)")
            return nil
        }
    }

    private static func takeAll(from holder: ParcelStream) async throws(ParcelError) -> [Parcel]? {
        try await holder.send(Parcel(.hello, HolderHello(seconds: 0).bytes), withinMilliseconds: answerMilliseconds)
        guard let hello = try await holder.receive(withinMilliseconds: answerMilliseconds) else { throw .ended }
        guard hello.kind == .hello else { return nil }
        guard HolderHello(hello.bytes)?.isUnderstood == true else { throw .malformed("a holder of another version") }
        var parcels: [Parcel] = []
        while true {
            guard let parcel = try await holder.receive(withinMilliseconds: answerMilliseconds) else { throw .ended }
            if parcel.kind == .end { break }
            guard parcels.count < HeldLimits().survivorsMax else {
                throw .tooLarge("more parcels than are held")
            }
            parcels.append(parcel)
        }
        try await holder.send(Parcel(.taken), withinMilliseconds: answerMilliseconds)
        // Until it has let go, its ends of the backends' sockets are open. What was taken stays taken if it dies first.
        _ = try? await holder.receive(withinMilliseconds: answerMilliseconds)
        return parcels
    }
}

/// One process of a holder, and what is on its way to it.
@IOLoop
private final class RunningHolder: ReadinessHandler {
    private let process: ProcessHandle
    private let socket: ParcelSocket
    private var watch: Watch?
    private var endWatch: Watch?
    /// What the socket has no room for yet, in its order.
    private var waiting: [Parcel] = []
    private var onEnd: (@IOLoop (ExitStatus?) -> Void)?
    private var farewellWaiter: CheckedContinuation<Void, Never>?
    private let exitHandler = ExitHandler()

    var processID: Int32 { process.processID }
    var isTold: Bool { waiting.isEmpty }

    init(
        program: String, listener: ParcelListener, onEnd: @escaping @IOLoop (ExitStatus?) -> Void
    ) throws(ParcelError) {
        let (here, there) = try ParcelSocket.pair()
        process = try Self.start(program, there.raw, listener.raw)
        socket = here
        self.onEnd = onEnd
        exitHandler.owner = self
        do throws(LinuxError) {
            endWatch = try IOLoop.watch(process, handler: exitHandler)
        } catch {
            process.kill()
            _ = process.waitForExit()
            throw .system(error)
        }
    }

    private static func start(_ program: String, _ socket: CInt, _ listener: CInt) throws(ParcelError) -> ProcessHandle
    {
        do throws(LinuxError) {
            let nothing = try Descriptor.open("/dev/null", O_RDWR)
            let descriptors = [nothing.raw, nothing.raw, nothing.raw, socket, listener]
            let processID = try ProcessSpawn.spawn(
                program, arguments: ["hearth-holder"], environment: [], descriptors: descriptors)
            return try ProcessHandle(child: processID)
        } catch {
            throw .system(error)
        }
    }

    func send(_ parcel: Parcel) {
        waiting.append(parcel)
        if waiting.count == 1 { sendWaiting() }
    }

    func forget(_ key: UInt64) {
        // The one at the front may be asked of the kernel already; what lies behind it is not on its way yet.
        waiting.removeAll { $0.key == key && $0.kind != .hello }
        send(Parcel(.forget, key: key))
    }

    /// Says farewell, and returns once the process has ended.
    func farewell() async {
        waiting = []
        send(Parcel(.farewell))
        guard endWatch != nil else { return }
        let timer = IOLoop.schedule(afterMilliseconds: 2_000) { [self] in process.kill() }
        await withCheckedContinuation { farewellWaiter = $0 }
        timer.cancel()
    }

    func ready(_ readiness: Readiness) { sendWaiting() }

    private func sendWaiting() {
        while let first = waiting.first {
            do throws(ParcelError) {
                guard try socket.trySend(first) else { return follow() }
            } catch {
                // A holder that has ended is started again by its exit. One that cannot be spoken to must end first.
                waiting = []
                process.kill()
                break
            }
            waiting.removeFirst()
        }
        watch?.unwatch()
        watch = nil
    }

    private func follow() {
        guard watch == nil else { return }
        watch = try? IOLoop.watch(
            socket.descriptor, Readiness(readable: false, writable: true), handler: self)
        if watch == nil { process.kill() }
    }

    fileprivate func exited() {
        guard let status = process.reap() else { return }
        endWatch?.unwatch()
        endWatch = nil
        watch?.unwatch()
        watch = nil
        waiting = []
        farewellWaiter?.resume()
        farewellWaiter = nil
        onEnd?(status)
        onEnd = nil
    }
}

/// Told of the exit of the process; the owner is told of its socket.
@IOLoop
private final class ExitHandler: ReadinessHandler {
    weak var owner: RunningHolder?

    func ready(_ readiness: Readiness) { owner?.exited() }
}
