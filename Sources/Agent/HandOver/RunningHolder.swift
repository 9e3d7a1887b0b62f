internal import EventLoop
internal import Glibc
internal import LinuxSystem

/// One process of a holder, and what is on its way to it.
@IOLoop
final class RunningHolder: ReadinessHandler {
    private let process: ProcessHandle
    private let socket: ParcelSocket
    private var watch: Watch?
    private var endWatch: Watch?
    /// What the socket has no room for yet, in its order.
    private var waiting: [Parcel] = []
    private var onEnd: (@IOLoop (ExitStatus?) -> Void)?
    private var farewellWaiter: CheckedContinuation<Void, Never>?
    private var confirmWaiter: CheckedContinuation<Bool, Never>?
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

    /// Returns whether it says in time that it has all that was sent to it.
    func confirm(withinMilliseconds milliseconds: UInt64) async -> Bool {
        guard endWatch != nil else { return false }
        send(Parcel(.end))
        let timer = IOLoop.schedule(afterMilliseconds: milliseconds) { [weak self] in self?.confirmed(false) }
        defer { timer.cancel() }
        return await withCheckedContinuation {
            confirmWaiter = $0
            follow()
        }
    }

    private func confirmed(_ hasAll: Bool) {
        confirmWaiter?.resume(returning: hasAll)
        confirmWaiter = nil
        follow()
    }

    /// Hears the answer to `confirm`: a holder says nothing else.
    private func hear() {
        guard confirmWaiter != nil else { return }
        switch try? socket.receive() {
        case .nothing: break
        case .parcel(let parcel): confirmed(parcel.kind == .taken)
        case .ended, nil: confirmed(false)
        }
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

    func ready(_ readiness: Readiness) {
        hear()
        sendWaiting()
    }

    private func sendWaiting() {
        while let first = waiting.first {
            do throws(ParcelError) {
                guard try socket.trySend(first) else { break }
            } catch {
                // A holder that has ended is started again by its exit. One that cannot be spoken to must end first.
                waiting = []
                process.kill()
                break
            }
            waiting.removeFirst()
        }
        follow()
    }

    /// Watches the socket for what is waited for.
    private func follow() {
        guard endWatch != nil, confirmWaiter != nil || !waiting.isEmpty else {
            watch?.unwatch()
            watch = nil
            return
        }
        let interest = Readiness(readable: confirmWaiter != nil, writable: !waiting.isEmpty)
        if let watch { return watch.setInterest(interest) }
        watch = try? IOLoop.watch(socket.descriptor, interest, handler: self)
        if watch == nil { process.kill() }
    }

    fileprivate func exited() {
        guard let status = process.reap() else { return }
        endWatch?.unwatch()
        endWatch = nil
        watch?.unwatch()
        watch = nil
        waiting = []
        confirmed(false)
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
