internal import Glibc
package import LinuxSystem
internal import Synchronization

/// The thread of `IOLoop`: waits in epoll, hands out readiness, runs jobs and timers, and ends each turn with the flushes.
///
/// Any thread may enqueue jobs; everything else belongs to the loop's own thread.
package final class EventLoopExecutor: SerialExecutor {
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var started = false
        /// The thread may be asleep in epoll and nobody has woken it yet.
        var needsWake = false
    }

    private let inbox = Mutex(Inbox())
    private let wakeUp: EventCounter
    private let epoll: Epoll
    private let thread = Atomic<UInt>(0)

    /// Owned by the loop's thread, which alone reads or writes it.
    nonisolated(unsafe) private var state = LoopState()

    init() {
        do {
            wakeUp = try EventCounter()
            epoll = try Epoll()
            try epoll.add(wakeUp.raw, .readable, tag: .max)
        } catch {
            fatalError("the event loop cannot start: \(error)")  // Without descriptors nothing can be served.
        }
    }

    package var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    package func checkIsolated() { precondition(isCurrent, "this must run on the I/O loop") }

    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let onLoop = isCurrent
        let (start, wake) = inbox.withLock { inbox in
            inbox.jobs.append(unowned)
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
        var events = [UInt32](repeating: 0, count: 256)
        var tags = [UInt64](repeating: 0, count: 256)
        var jobs: [UnownedJob] = []
        let executor = asUnownedSerialExecutor()
        while true {
            let timeout = inbox.withLock { inbox in
                inbox.needsWake = inbox.jobs.isEmpty
                return inbox.jobs.isEmpty ? nil : CInt(0)
            }
            let wait = timeout ?? IOLoop.assumeIsolated { state.timeoutMilliseconds(at: .now()) }
            let count = epoll.wait(events: &events, tags: &tags, timeoutMilliseconds: wait)
            IOLoop.assumeIsolated {
                for index in 0..<count {
                    if tags[index] == .max {
                        wakeUp.clear()
                    } else if let handler = state.handler(tag: tags[index]) {
                        handler.ready(Readiness(rawValue: events[index]))
                    }
                }
                if state.hasTimers { fireTimers() }
            }
            inbox.withLock { inbox in
                inbox.needsWake = false
                swap(&jobs, &inbox.jobs)
            }
            for job in jobs { job.runSynchronously(on: executor) }
            jobs.removeAll(keepingCapacity: true)
            IOLoop.assumeIsolated { endTurn() }
        }
    }

    @IOLoop private func fireTimers() {
        let now = Monotonic.now()
        while let action = state.takeDueTimer(at: now) { action() }
    }

    /// Flushing may ask for another flush (a closed stream frees a waiting one), so go on until none is asked for.
    @IOLoop private func endTurn() {
        while !state.turnEndHandlers.isEmpty {
            let handlers = state.turnEndHandlers
            state.turnEndHandlers.removeAll(keepingCapacity: true)
            for handler in handlers { handler.turnEnded() }
        }
    }
}

extension IOLoop {
    /// Watches a descriptor until `unwatch`. The handler is kept alive meanwhile; the caller keeps the descriptor open.
    @IOLoop package static func watch(
        _ descriptor: borrowing Descriptor, _ interest: Readiness, handler: any ReadinessHandler
    ) throws(LinuxError) -> Watch {
        try shared.executor.watch(descriptor.raw, interest, handler: handler)
    }

    /// Watches for the end of a child process: it is readable from then on.
    @IOLoop package static func watch(
        _ process: borrowing ProcessHandle, handler: any ReadinessHandler
    ) throws(LinuxError) -> Watch {
        try shared.executor.watch(process.raw, .readable, handler: handler)
    }

    /// Calls back once, in `after` milliseconds or a little later (rounded up to whole milliseconds), unless cancelled.
    @IOLoop @discardableResult
    package static func schedule(afterMilliseconds after: UInt64, _ action: @escaping @IOLoop () -> Void) -> Timer {
        shared.executor.schedule(at: Monotonic.now().advanced(milliseconds: after), action)
    }

    /// Calls back at the end of this turn, once however often it is asked for within the call chain of one turn: the
    /// handler must remember that it has asked.
    @IOLoop package static func atTurnEnd(_ handler: any TurnEndHandler) {
        shared.executor.atTurnEnd(handler)
    }
}

extension EventLoopExecutor {
    @IOLoop fileprivate func watch(
        _ descriptor: CInt, _ interest: Readiness, handler: any ReadinessHandler
    ) throws(LinuxError) -> Watch {
        let tag = state.insert(handler)
        do {
            try epoll.add(descriptor, interest, tag: tag)
        } catch {
            state.remove(tag: tag)
            throw error
        }
        return Watch(descriptor: descriptor, tag: tag)
    }

    @IOLoop fileprivate func modify(_ watch: Watch, _ interest: Readiness) {
        epoll.modify(watch.descriptor, interest, tag: watch.tag)
    }

    @IOLoop fileprivate func unwatch(_ watch: Watch) {
        epoll.remove(watch.descriptor)
        state.remove(tag: watch.tag)
    }

    @IOLoop fileprivate func schedule(at moment: Monotonic, _ action: @escaping @IOLoop () -> Void) -> Timer {
        state.addTimer(at: moment, action)
    }

    @IOLoop fileprivate func cancel(_ timer: Timer) { state.cancel(timer) }

    @IOLoop fileprivate func atTurnEnd(_ handler: any TurnEndHandler) { state.turnEndHandlers.append(handler) }
}

/// A watched descriptor. End it with `unwatch` before the descriptor is closed.
package struct Watch: Sendable {
    fileprivate let descriptor: CInt
    fileprivate let tag: UInt64

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
