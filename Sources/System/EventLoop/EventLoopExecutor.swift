internal import Glibc
package import LinuxSystem
internal import Synchronization

/// The thread of `IOLoop`: waits in epoll, hands out readiness, runs jobs and timers, and ends each turn with the flushes.
///
/// Any thread may enqueue jobs; everything else belongs to the loop's own thread.
package final class EventLoopExecutor: SerialExecutor {
    private struct Inbox {
        var jobs = Queue<UnownedJob>()
        /// Jobs of tasks with a priority above the usual: the owner's.
        var firstJobs = Queue<UnownedJob>()
        var started = false
        /// Whether the thread may be asleep in epoll and was not woken yet.
        var needsWake = false

        var isEmpty: Bool { jobs.isEmpty && firstJobs.isEmpty }
    }

    /// Tags of descriptors that are the loop's own.
    private enum OwnTag {
        static let wakeUp = UInt64.max
        static let first = UInt64.max - 1
    }

    private let limits = IOLoop.limits
    private let inbox = Mutex(Inbox())
    private let wakeUp: EventCounter
    private let epoll: Epoll
    /// Watches the descriptors that are served first; it is itself a descriptor of `epoll`.
    private let firstEpoll: Epoll
    private let ready: ReadyEvents
    private let firstReady: ReadyEvents
    private let thread = Atomic<UInt>(0)

    /// Owned by the loop's thread, which alone reads or writes it.
    nonisolated(unsafe) private var state = LoopState(IOLoop.limits)

    init() {
        ready = ReadyEvents(limits.eventsPerTurnMax)
        firstReady = ReadyEvents(limits.eventsPerTurnMax)
        do {
            wakeUp = try EventCounter()
            epoll = try Epoll()
            firstEpoll = try Epoll()
            try epoll.add(wakeUp.raw, .readable, tag: OwnTag.wakeUp)
            try epoll.add(firstEpoll.raw, .readable, tag: OwnTag.first)
        } catch {
            fatalError("the event loop cannot start: \(error)")  // Without descriptors nothing can be served.
        }
    }

    package var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    package func checkIsolated() { precondition(isCurrent, "this must run on the I/O loop") }

    package func enqueue(_ job: consuming ExecutorJob) {
        let isFirst = job.priority.rawValue > TaskPriority.medium.rawValue
        let unowned = UnownedJob(job)
        let onLoop = isCurrent
        let (start, wake) = inbox.withLock { inbox in
            if isFirst { inbox.firstJobs.append(unowned) } else { inbox.jobs.append(unowned) }
            let start = !inbox.started
            inbox.started = true
            let wake = !onLoop && inbox.needsWake
            if wake { inbox.needsWake = false }
            return (start, wake)
        }
        if start { startThread() }
        if wake { wakeUp.signal() }
    }

    private func startThread() {
        // The executor lives as long as the process, as the thread does: `IOLoop.shared` keeps it.
        let context = Unmanaged.passUnretained(self).toOpaque()
        var handle = pthread_t()
        let failed = pthread_create(
            &handle, nil,
            { context in
                Unmanaged<EventLoopExecutor>.fromOpaque(context!).takeUnretainedValue().run()
                return nil
            }, context)
        precondition(failed == 0, "the event loop's thread cannot start")
        pthread_detach(handle)
    }

    private func run() {
        thread.store(UInt(pthread_self()), ordering: .relaxed)
        let executor = asUnownedSerialExecutor()
        while true {
            IOLoop.assumeIsolated(self, ()) { executor, _ in executor.beginTurn() }
            for _ in 0..<limits.jobsPerTurnMax {
                guard let job = takeJob() else { break }
                job.runSynchronously(on: executor)
            }
            IOLoop.assumeIsolated(self, ()) { executor, _ in executor.finishTurn() }
        }
    }

    @IOLoop private func beginTurn() {
        waitForEvents()
        fireTimers()
    }

    @IOLoop private func finishTurn() {
        // The output of light work is sent before heavy work goes on.
        endTurn()
        guard state.isBusy else { return }
        goOnWithUnfinished()
        endTurn()
    }

    // The inbox is read from functions that belong to no actor: in `withLock`, a closure of the loop's would ask the
    // runtime each time whether it is on the loop, 400 instructions.

    private func takeJob() -> UnownedJob? { inbox.withLock { $0.firstJobs.popFirst() ?? $0.jobs.popFirst() } }

    private func noteAwake() { inbox.withLock { $0.needsWake = false } }

    /// Whether jobs wait; if none do, and the loop is not busy, `enqueue` wakes it from now on.
    private func hasJobs(isBusy: Bool) -> Bool {
        inbox.withLock { inbox in
            inbox.needsWake = inbox.isEmpty && !isBusy
            return !inbox.isEmpty
        }
    }

    @IOLoop private func waitForEvents() {
        ready.wait(for: epoll, timeoutMilliseconds: timeoutMilliseconds())
        noteAwake()
        // If there was no room for all events, others may have taken the room of the first ones.
        if ready.contains(OwnTag.first) || ready.isFull {
            firstReady.wait(for: firstEpoll, timeoutMilliseconds: 0)
            hand(firstReady)
        }
        hand(ready)
    }

    /// How long to wait for an event: -1 for ever.
    @IOLoop private func timeoutMilliseconds() -> CInt {
        let isBusy = state.isBusy
        if hasJobs(isBusy: isBusy) || isBusy { return 0 }
        return state.timeoutMilliseconds(at: .now())
    }

    @IOLoop private func hand(_ ready: ReadyEvents) {
        for index in 0..<ready.count {
            switch ready.tags[index] {
            case OwnTag.wakeUp: wakeUp.clear()
            case OwnTag.first: break
            case let tag: state.handler(tag: tag)?.ready(Readiness(rawValue: ready.events[index]))
            }
        }
    }

    @IOLoop private func fireTimers() {
        guard state.hasTimers else { return }
        let now = Monotonic.now()
        for _ in 0..<limits.timersPerTurnMax {
            guard let action = state.takeDueTimer(at: now) else { return }
            action()
        }
    }

    @IOLoop private func goOnWithUnfinished() {
        state.firstBacklog.beginTurn()
        while let (work, steps) = state.firstBacklog.next() {
            let used = work.goOn(steps: steps)
            state.firstBacklog.used(used)
        }
        state.backlog.beginTurn()
        while let (work, steps) = state.backlog.next() {
            let used = work.goOn(steps: steps)
            state.backlog.used(used)
        }
    }

    /// Flushing may ask for another flush (a closed stream frees a waiting one), so go on until none is asked for, or
    /// enough has been done for one turn.
    @IOLoop private func endTurn() {
        for _ in 0..<limits.flushesPerTurnMax {
            guard let handler = state.turnEndHandlers.popFirst() else { return }
            handler.turnEnded()
        }
    }
}

/// What epoll found ready.
@IOLoop
private final class ReadyEvents {
    private(set) var events: [UInt32]
    private(set) var tags: [UInt64]
    private(set) var count = 0

    nonisolated init(_ capacity: Int) {
        events = Array(repeating: 0, count: capacity)
        tags = Array(repeating: 0, count: capacity)
    }

    var isFull: Bool { count == tags.count }

    func wait(for epoll: borrowing Epoll, timeoutMilliseconds: CInt) {
        count = epoll.wait(events: &events, tags: &tags, timeoutMilliseconds: timeoutMilliseconds)
    }

    func contains(_ tag: UInt64) -> Bool { tags[..<count].contains(tag) }
}

extension IOLoop {
    /// Watches a descriptor until `unwatch`. The handler is kept alive meanwhile; the caller keeps the descriptor open.
    @IOLoop package static func watch(
        _ descriptor: borrowing Descriptor, _ interest: Readiness, _ priority: LoopPriority = .usual,
        handler: any ReadinessHandler
    ) throws(LinuxError) -> Watch {
        try shared.executor.watch(descriptor.raw, interest, priority, handler: handler)
    }

    /// Watches for the end of a child process: it is readable from then on.
    @IOLoop package static func watch(
        _ process: borrowing ProcessHandle, handler: any ReadinessHandler
    ) throws(LinuxError) -> Watch {
        try shared.executor.watch(process.raw, .readable, .first, handler: handler)
    }

    /// Calls back once, in `after` milliseconds or a little later (rounded up to whole milliseconds), unless cancelled.
    @IOLoop @discardableResult
    package static func schedule(afterMilliseconds after: UInt64, _ action: @escaping @IOLoop () -> Void) -> Timer {
        shared.executor.schedule(at: Monotonic.now().advanced(milliseconds: after), action)
    }

    /// Calls the handler back at the end of this turn. The handler must remember that it has asked, and ask at most
    /// once a turn.
    @IOLoop package static func atTurnEnd(_ handler: any TurnEndHandler) {
        shared.executor.atTurnEnd(handler)
    }

    /// Calls `goOn` of this work once, in a later turn. Steps are shared out among sources, the callers that work is
    /// done for; without a `source` the work is a source of its own. The work is kept alive until then.
    @IOLoop package static func goOnLater(
        _ work: any UnfinishedWork, of source: AnyHashable? = nil, _ priority: LoopPriority = .usual
    ) {
        shared.executor.goOnLater(work, of: source ?? AnyHashable(ObjectIdentifier(work)), priority)
    }
}

extension EventLoopExecutor {
    @IOLoop fileprivate func watch(
        _ descriptor: CInt, _ interest: Readiness, _ priority: LoopPriority, handler: any ReadinessHandler
    ) throws(LinuxError) -> Watch {
        let tag = state.insert(handler)
        do {
            switch priority {
            case .first: try firstEpoll.add(descriptor, interest, tag: tag)
            case .usual: try epoll.add(descriptor, interest, tag: tag)
            }
        } catch {
            state.remove(tag: tag)
            throw error
        }
        return Watch(descriptor: descriptor, tag: tag, priority: priority)
    }

    @IOLoop fileprivate func modify(_ watch: Watch, _ interest: Readiness) {
        switch watch.priority {
        case .first: firstEpoll.modify(watch.descriptor, interest, tag: watch.tag)
        case .usual: epoll.modify(watch.descriptor, interest, tag: watch.tag)
        }
    }

    @IOLoop fileprivate func unwatch(_ watch: Watch) {
        switch watch.priority {
        case .first: firstEpoll.remove(watch.descriptor)
        case .usual: epoll.remove(watch.descriptor)
        }
        state.remove(tag: watch.tag)
    }

    @IOLoop fileprivate func schedule(at moment: Monotonic, _ action: @escaping @IOLoop () -> Void) -> Timer {
        state.addTimer(at: moment, action)
    }

    @IOLoop fileprivate func cancel(_ timer: Timer) { state.cancel(timer) }

    @IOLoop fileprivate func atTurnEnd(_ handler: any TurnEndHandler) { state.turnEndHandlers.append(handler) }

    @IOLoop fileprivate func goOnLater(
        _ work: any UnfinishedWork, of source: AnyHashable, _ priority: LoopPriority
    ) {
        switch priority {
        case .first: state.firstBacklog.append(work, of: source)
        case .usual: state.backlog.append(work, of: source)
        }
    }
}

/// A watched descriptor. End it with `unwatch` before the descriptor is closed.
package struct Watch: Sendable {
    fileprivate let descriptor: CInt
    fileprivate let tag: UInt64
    fileprivate let priority: LoopPriority

    @IOLoop package func setInterest(_ interest: Readiness) { IOLoop.shared.executor.modify(self, interest) }
    @IOLoop package func unwatch() { IOLoop.shared.executor.unwatch(self) }
}

/// A timer that has not fired.
package struct Timer: Hashable, Sendable {
    let id: UInt64
    let moment: Monotonic

    /// Does nothing if it has fired.
    @IOLoop package func cancel() { IOLoop.shared.executor.cancel(self) }
}
