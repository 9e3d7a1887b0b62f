import LinuxSystem
import Testing

@testable import BackendSupervisor

/// How a backend makes way for what its owner changed, and waits for weights.
@Suite("BackendLifecycle, replaced and waiting")
struct BackendLifecycleDrainTests {
    private let begin = Monotonic(nanoseconds: 1_000_000_000_000)

    private func moment(_ milliseconds: UInt64) -> Monotonic { begin.advanced(milliseconds: milliseconds) }

    /// One that became ready at `begin`.
    private func ready() -> BackendLifecycle {
        var life = launching()
        _ = life.launched(at: begin)
        _ = life.greeted(loadMilliseconds: 1_000, at: begin)
        _ = life.loaded(at: begin)
        return life
    }

    private func launching() -> BackendLifecycle {
        var life = BackendLifecycle(limits: SupervisorConfiguration.Limits(), remedy: "touch it")
        _ = life.start(at: begin)
        return life
    }

    /// `#expect` cannot call what mutates.
    private func expect(
        _ actions: [BackendLifecycle.Action], _ expected: [BackendLifecycle.Action],
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(actions == expected, sourceLocation: location)
    }

    @Test("what runs goes on until it ends; then the process ends and the next one starts")
    func drained() {
        var life = ready()
        expect(life.drain(then: .start, isIdle: false, why: "changed", at: begin), [])
        #expect(life.drain == BackendLifecycle.Drain(until: moment(300_000), why: "changed"))
        expect(life.tick(at: moment(5_000)), [.ping])
        _ = life.answered(progress: 1, isBusy: true, at: moment(5_001))
        expect(life.becameIdle(at: moment(6_000)), [.shutDown(graceMilliseconds: 5_000)])
        #expect(life.startsAgain)
        expect(
            life.exited("exited with code 0", forOwner: false, at: moment(6_010)),
            [.lose(reason: "was stopped"), .launch])
        #expect(life.drain == nil && !life.startsAgain)
        #expect(life.restarts == 0)
    }

    @Test("what still runs when the time is over ends with the process")
    func overdue() {
        var life = ready()
        _ = life.drain(then: .start, isIdle: false, why: "changed", at: begin)
        // A second change does not make it longer.
        _ = life.drain(then: .start, isIdle: false, why: "changed again", at: moment(200_000))
        var now = moment(0)
        while let due = life.nextDeadline, due < moment(300_000) {
            now = due
            expect(life.tick(at: now), [.ping])
            _ = life.answered(progress: now.nanoseconds, isBusy: true, at: now)
        }
        #expect(life.nextDeadline == moment(300_000))
        expect(life.tick(at: moment(300_000)), [.shutDown(graceMilliseconds: 5_000)])
        expect(life.tick(at: moment(305_000)), [.kill, .lose(reason: "did not end within its grace (clause 8.1)")])
    }

    @Test("what is idle, or not ready, makes way at once")
    func atOnce() {
        var idle = ready()
        expect(idle.drain(then: .start, isIdle: true, why: "", at: begin), [.shutDown(graceMilliseconds: 5_000)])
        var failed = launching()
        _ = failed.launchFailed("x", forOwner: true, at: begin)
        expect(failed.drain(then: .start, isIdle: true, why: "", at: begin), [.launch])
        var starting = launching()
        expect(starting.drain(then: .start, isIdle: true, why: "", at: begin), [])
        expect(
            starting.launched(at: begin), [.kill, .lose(reason: "was stopped while it was launched")])
        #expect(starting.startsAgain)
    }

    @Test("one that hangs while it drains is restarted by its watchdog, as what it is to be")
    func hangs() {
        var life = ready()
        _ = life.drain(then: .start, isIdle: false, why: "changed", at: begin)
        var actions: [BackendLifecycle.Action] = []
        while actions.first != .kill { actions = life.tick(at: life.nextDeadline ?? begin) }
        expect(life.exited("was killed", forOwner: false, at: moment(25_000)), [.launch])
        #expect(life.restarts == 0)
    }

    @Test("a change that is taken back ends the drain, and one that leaves goes on when it is wanted again")
    func takenBack() {
        var life = ready()
        for next in [BackendLifecycle.Afterwards.start, .stop] {
            _ = life.drain(then: next, isIdle: false, why: "changed", at: begin)
            expect(life.start(at: begin), [])
            #expect(life.drain == nil)
            expect(life.becameIdle(at: begin), [])
        }
        _ = life.drain(then: .stop, isIdle: false, why: "not named any more", at: begin)
        expect(life.becameIdle(at: begin), [.shutDown(graceMilliseconds: 5_000)])
        _ = life.exited("exited with code 0", forOwner: false, at: begin)
        #expect(life.phase == .stopped)
        #expect(life.detail == "not named any more")
    }

    @Test("one whose weights changed ends at once, and what ran on it is told so")
    func replacedNow() {
        var life = ready()
        expect(life.replaceNow(because: "w changed", at: begin), [.kill, .lose(reason: "w changed")])
        expect(life.exited("was killed", forOwner: false, at: begin), [.launch])
        #expect(life.detail == "" && life.restarts == 0)
        var leaving = ready()
        _ = leaving.stop(graceMilliseconds: 1_000, why: "", at: begin)
        _ = leaving.replaceNow(because: "w changed", at: begin)
        _ = leaving.exited("was killed", forOwner: false, at: begin)
        #expect(leaving.phase == .stopped, "what is to end is not started")
    }

    @Test("without its weights it waits, for nothing but the word that they are there")
    func waits() {
        var life = launching()
        expect(life.launchWaits("waits for its weights: x is missing", at: begin), [])
        #expect(life.phase == .waiting)
        #expect(life.detail == "waits for its weights: x is missing")
        #expect(life.nextDeadline == nil && !life.isAlive)
        expect(life.goesOnWaiting("waits for its weights: x is still being written"), [])
        #expect(life.detail.hasSuffix("still being written"))
        expect(life.obstacleChanged(at: begin), [.launch])
        #expect(life.detail == "")
        #expect(life.restarts == 0)
        _ = life.stop(graceMilliseconds: 0, why: "", at: begin)
        expect(life.launchWaits("x", at: begin), [])
        #expect(life.phase == .stopped)
    }

    /// In every phase in which no process lives.
    private var dead: [BackendLifecycle] {
        let idle = BackendLifecycle(limits: SupervisorConfiguration.Limits(), remedy: "touch it")
        var (stopped, waiting, backingOff, failed, yielding) = (ready(), launching(), ready(), launching(), idle)
        _ = stopped.stop(graceMilliseconds: 0, why: "", at: begin)
        _ = stopped.exited("exited with code 0", forOwner: false, at: begin)
        _ = waiting.launchWaits("x is missing", at: begin)
        _ = backingOff.exited("died", forOwner: false, at: begin)
        _ = failed.launchFailed("x", forOwner: true, at: begin)
        _ = yielding.yield(why: "another one", at: begin)
        return [idle, stopped, waiting, backingOff, failed, yielding]
    }

    /// In every phase in which one lives, or comes to be.
    private var alive: [BackendLifecycle] {
        var (greeting, loading, draining, closed, killed, stopping) = (
            launching(), launching(), ready(), ready(), ready(), ready()
        )
        _ = greeting.launched(at: begin)
        _ = loading.launched(at: begin)
        _ = loading.greeted(loadMilliseconds: 1_000, at: begin)
        _ = draining.drain(then: .stop, isIdle: false, why: "not named any more", at: begin)
        _ = closed.closed(at: begin)
        _ = killed.broke("x", at: begin)
        _ = stopping.stop(graceMilliseconds: 1_000, why: "it was removed", at: begin)
        return [launching(), greeting, loading, ready(), draining, closed, killed, stopping]
    }

    @Test("one that yields its model does nothing but wait for the word that it serves it")
    func yields() {
        for var life in dead {
            expect(life.yield(why: "a serves it", at: begin), [])
            #expect(life.phase == .yielding && life.detail == "a serves it")
            #expect(life.nextDeadline == nil && !life.isAlive)
            expect(life.tick(at: moment(100_000_000)), [])
            expect(life.obstacleChanged(at: begin), [])
            expect(life.launched(at: begin), [])
            expect(life.exited("died", forOwner: false, at: begin), [])
            #expect(life.phase == .yielding)
            var started = life
            expect(started.start(at: begin), [.launch])
            expect(life.replace(graceMilliseconds: 0, at: begin), [.launch])
            #expect(life.detail == "" && life.restarts == 0)
        }
    }

    @Test("a process that lives when its model is yielded goes its way, to the end if it was to end")
    func yieldsLater() {
        for before in alive {
            var life = before
            expect(life.yield(why: "a serves it", at: begin), [])
            #expect(life.phase == before.phase && life.detail == before.detail && life.drain == before.drain)
        }
    }

    @Test("every phase is a state, and means something for a look at the folder")
    func states() {
        #expect(dead.map(\.state) == [.stopped, .stopped, .waiting, .backingOff, .failed, .failed])
        #expect(dead.map(\.standing) == [.idle, .idle, .waiting, .failed, .failed, .yielding])
        #expect(
            alive.map(\.state) == [
                .starting, .starting, .loading, .ready, .draining, .backingOff, .backingOff, .stopped,
            ])
        #expect(
            alive.map(\.standing) == [
                .running, .running, .running, .running, .draining, .running, .running, .leaving,
            ])
        let drained = "not named any more; what runs on it goes on, for 300 s at most"
        #expect(alive.map(\.stateDetail) == ["", "", "0 % loaded", "", drained, "", "x", "it was removed"])
        var replaced = ready()
        _ = replaced.replace(graceMilliseconds: 1_000, at: begin)
        #expect(replaced.state == .starting && replaced.standing == .running)
    }
}
