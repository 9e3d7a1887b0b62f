package import EventLoop
internal import Glibc
internal import LinuxSystem
package import Logging

/// The agent's end of its holder, a process that keeps parcels over the agent's death. One that ends by itself is started
/// again, and gets everything anew.
///
/// It is in force only once it has what its agent has taken of the holder before it (`LeftParcels`). An agent that dies
/// sooner leaves everything to that one, and nothing here: each backend is kept, and frozen, by one holder.
@IOLoop
package final class Holder {
    /// The name of the socket in the state folder on which a holder gives what it holds.
    package nonisolated static let socketName = "held.sock"

    /// The name of that of a holder which is not in force yet: what was held before it is still found by the other one.
    private nonisolated static let nextSocketName = "held-next.sock"

    /// How long the holder may take to say that it has what it was given.
    private nonisolated static let answerMilliseconds: UInt64 = 10_000
    /// The time before a holder that has ended is started again, which doubles with each that ends early.
    private static let restartMilliseconds: ClosedRange<UInt64> = 100...60_000

    private let program: String
    private let path: String
    private let nextPath: String
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
    private var isInForce = false
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
        nextPath = "\(state)/\(Self.nextSocketName)"
        self.seconds = seconds
        held = HeldParcels(bounds)
        self.logger = logger
    }

    /// Starts the process, which keeps nothing over this one's death until `comeIntoForce`. Throws where it cannot be started,
    /// or no socket can be made in the state folder.
    package func start() throws(ParcelError) {
        let listener = try ParcelListener(atPath: nextPath)
        self.listener = listener
        listenerFile = Self.file(at: nextPath)
        do throws(ParcelError) {
            try run()
        } catch {
            unlink(nextPath)
            throw error
        }
    }

    /// Has it keep what it has over this process's death, in the place of a holder before it, to which its socket's name
    /// leads no more. Returns once it has said that it has everything, or is to be started again.
    package func comeIntoForce() async {
        if held.count > 0, await running?.confirm(withinMilliseconds: Self.answerMilliseconds) != true {
            logger.error("hearth-holder does not say that it has what was left to it")
        }
        guard !isOver else { return }
        isInForce = true
        // In this order: at any moment one holder that has everything is found by the name.
        running?.send(hello)
        if rename(nextPath, path) != 0 {
            logger.error("what is kept cannot be found after a crash: \(LinuxError.last("rename \(nextPath)"))")
        }
    }

    private var hello: Parcel { Parcel(.hello, HolderHello(seconds: isInForce ? seconds : 0).bytes) }

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
        let ownPath = isInForce ? path : nextPath
        if let listenerFile, let now = Self.file(at: ownPath), now == listenerFile { unlink(ownPath) }
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
        running?.send(hello)
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
