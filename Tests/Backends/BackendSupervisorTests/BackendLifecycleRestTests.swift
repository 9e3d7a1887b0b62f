import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("BackendLifecycle of a model that is loaded on demand")
struct BackendLifecycleRestTests {
    private let begin = Monotonic(nanoseconds: 1_000_000_000_000)
    private func moment(_ milliseconds: UInt64) -> Monotonic { begin.advanced(milliseconds: milliseconds) }

    private enum Stage: CaseIterable { case resting, launching, greeting, loading, ready, unloading, killed }

    /// `unloading`: its memory is being given back. `killed`: the same, and it did not end by itself.
    private func life(in stage: Stage) -> BackendLifecycle {
        var life = BackendLifecycle(limits: .init(), remedy: "touch it")
        expect(life.rest(), [])
        guard stage != .resting else { return life }
        expect(life.demand(at: begin), [.launch])
        guard stage != .launching else { return life }
        expect(life.launched(at: begin), [])
        guard stage != .greeting else { return life }
        expect(life.greeted(loadMilliseconds: 60_000, at: begin), [])
        guard stage != .loading else { return life }
        expect(life.loaded(at: begin), [])
        guard stage != .ready else { return life }
        expect(life.unload(at: begin), [.shutDown(graceMilliseconds: 5_000)])
        guard stage != .unloading else { return life }
        expect(life.tick(at: moment(5_000)).first, .kill)
        return life
    }

    /// `#expect` cannot call what mutates.
    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }

    private func exit(_ life: inout BackendLifecycle) -> [BackendLifecycle.Action] {
        life.exited("exited with 0", forOwner: false, at: moment(6_000))
    }

    @Test("it rests until a request demands it, and again once it was unloaded")
    func ways() {
        var life = life(in: .unloading)
        #expect(life.state == .unloaded)
        expect(exit(&life), [.lose(reason: "was stopped")])
        #expect(life.phase == .resting && life.state == .unloaded && life.nextDeadline == nil)
        expect(life.demand(at: moment(7_000)), [.launch])
    }

    @Test("a request that comes while it is unloaded has it loaded again, whether it ends by itself or not")
    func crossing() {
        for stage in [Stage.unloading, .killed] {
            var life = life(in: stage)
            expect(life.demand(at: moment(5_500)), [])
            #expect(life.startsAgain)
            #expect(exit(&life).last == .launch, "\(stage)")
        }
    }

    @Test("a demand changes nothing for one that runs or will run")
    func demandedTwice() {
        for stage in [Stage.launching, .greeting, .loading, .ready] {
            var life = life(in: stage)
            let before = life.phase
            expect(life.demand(at: begin), [])
            #expect(life.phase == before && !life.startsAgain)
        }
    }

    @Test("it can be unloaded in every phase that has a process, and rests then")
    func unloadedAnywhere() {
        for stage in Stage.allCases where stage != .resting {
            var life = life(in: stage)
            _ = life.unload(at: moment(10))
            if stage == .launching { _ = life.launched(at: moment(20)) }
            _ = exit(&life)
            #expect(life.phase == .resting, "\(stage)")
        }
        var resting = life(in: .resting)
        expect(resting.unload(at: begin), [])
        #expect(resting.phase == .resting)
    }

    @Test("the time that it may be idle runs only while it is ready, and until it is used again")
    func idle() {
        var life = life(in: .ready)
        expect(life.idle(until: moment(3_000)), [])
        #expect(life.nextDeadline == moment(3_000))
        expect(life.tick(at: moment(2_999)), [])
        expect(life.idle(until: nil), [])
        expect(life.tick(at: moment(3_000)), [])
        #expect(life.state == .ready)
        expect(life.idle(until: moment(4_000)), [])
        expect(life.tick(at: moment(4_000)), [.shutDown(graceMilliseconds: 5_000)])
        for stage in Stage.allCases where stage != .ready {
            var life = self.life(in: stage)
            expect(life.idle(until: moment(1)), [])
            #expect(life.restAt == nil, "\(stage)")
        }
    }

    @Test("a loss is made good as for any other, and a stop is a stop")
    func lost() {
        var lost = life(in: .ready)
        _ = lost.exited("died", forOwner: false, at: moment(100))
        #expect(lost.state == .backingOff)
        var stopped = life(in: .unloading)
        _ = stopped.stop(graceMilliseconds: 0, why: "the host stops", at: moment(100))
        _ = exit(&stopped)
        #expect(stopped.phase == .stopped)
    }

    @Test("what its owner changed is ready to be loaded anew once nothing runs on it any more")
    func drained() {
        var life = life(in: .ready)
        expect(life.drain(then: .rest, isIdle: false, why: "changed", at: moment(10)), [])
        expect(life.demand(at: moment(15)), [])
        expect(life.becameIdle(at: moment(20)), [.shutDown(graceMilliseconds: 5_000)])
        _ = exit(&life)
        #expect(life.phase == .resting)
        var idle = self.life(in: .resting)
        expect(idle.drain(then: .rest, isIdle: true, why: "changed", at: begin), [])
        #expect(idle.phase == .resting)
    }

    @Test("what could not be loaded may rest again once its files have changed")
    func mended() {
        var life = life(in: .loading)
        _ = life.gaveUp("no model", forOwner: true, at: begin)
        _ = exit(&life)
        #expect(life.state == .failed)
        expect(life.demand(at: moment(7_000)), [])
        #expect(life.state == .failed)
        expect(life.rest(), [])
        #expect(life.state == .unloaded && life.detail == "")
    }
}
