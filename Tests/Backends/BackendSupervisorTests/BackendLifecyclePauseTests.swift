import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("BackendLifecycle in a pause")
struct BackendLifecyclePauseTests {
    private let begin = Monotonic(nanoseconds: 1_000_000_000_000)
    private let limits = SupervisorConfiguration.Limits()
    private func moment(_ milliseconds: UInt64) -> Monotonic { begin.advanced(milliseconds: milliseconds) }

    private enum Stage: CaseIterable {
        case idle, launching, greeting, loading, ready, stopping, ending, killed, backingOff, failed, resting, stopped

        var hasProcess: Bool { [.greeting, .loading, .ready].contains(self) }
    }

    /// One that has come so far, all at `begin`.
    private func life(in stage: Stage) -> BackendLifecycle {
        var life = BackendLifecycle(limits: limits, remedy: "touch it")
        switch stage {
        case .idle: return life
        case .resting:
            _ = life.rest()
            return life
        case .stopped:
            _ = life.stop(graceMilliseconds: 0, why: "it was removed", at: begin)
            return life
        default: break
        }
        _ = life.start(at: begin)
        if stage == .launching { return life }
        if stage == .failed {
            _ = life.launchFailed("has no executable", forOwner: true, at: begin)
            return life
        }
        _ = life.launched(at: begin)
        if stage == .greeting { return life }
        _ = life.greeted(loadMilliseconds: 60_000, at: begin)
        if stage == .loading { return life }
        _ = life.loaded(at: begin)
        switch stage {
        case .stopping: _ = life.replace(graceMilliseconds: 5_000, at: begin)
        case .ending: _ = life.closed(at: begin)
        case .killed: _ = life.broke("broke the contract", at: begin)
        case .backingOff: _ = life.exited("was killed", forOwner: false, at: begin)
        default: break
        }
        return life
    }

    /// `#expect` cannot call what mutates.
    private func expect<Value: Equatable>(
        _ value: Value, _ expected: Value, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }

    @Test("in every phase computing stops: what runs is frozen, what is launched is called off, what ends is killed")
    func pauses() {
        for stage in Stage.allCases {
            var life = life(in: stage)
            let actions = life.pause(endingFor: nil, at: begin)
            switch stage {
            case .greeting, .loading, .ready: #expect(actions == [.freeze], "\(stage)")
            case .launching: #expect(actions == [.callOffLaunch], "\(stage)")
            case .stopping, .ending: #expect(actions.first == .kill, "\(stage)")
            case .idle, .killed, .backingOff, .failed, .resting, .stopped: #expect(actions == [], "\(stage)")
            }
            #expect(!life.takesRequests)
            #expect(life.pause(endingFor: nil, at: begin) == [], "a second pause of \(stage)")
        }
    }

    @Test("in every phase a pause that gives memory back ends the process, also of what is frozen already")
    func unloads() {
        for stage in Stage.allCases {
            for isFrozen in [false, true] {
                var life = life(in: stage)
                if isFrozen { _ = life.pause(endingFor: nil, at: begin) }
                let actions = life.pause(endingFor: .rest, at: begin)
                #expect(actions.contains(.freeze) == false, "\(stage)")
                let isEnded = stage.hasProcess || !isFrozen && [.stopping, .ending].contains(stage)
                #expect(actions.contains(.kill) == isEnded, "\(stage)")
                guard stage.hasProcess else { continue }
                #expect(life.exited("was killed", forOwner: false, at: begin) == [], "\(stage)")
                #expect(life.phase == .resting && life.isStill)
            }
        }
    }

    @Test("nothing is launched in a pause, whatever asks for it, and it starts at the end of the pause")
    func launchesNothing() {
        for stage in Stage.allCases {
            var life = life(in: stage)
            _ = life.pause(endingFor: .start, at: begin)
            var actions = life.exited("was killed", forOwner: false, at: begin)
            actions += life.start(at: begin) + life.obstacleChanged(at: begin) + life.demand(at: begin)
            actions += life.tick(at: moment(100_000_000))
            if !life.isAlive { actions += life.replace(graceMilliseconds: 0, at: begin) }
            #expect(!actions.contains(.launch), "\(stage)")
            guard !life.isAlive else { continue }
            #expect(life.phase == .held, "\(stage)")
            #expect(life.isStill && life.state == .starting && life.nextDeadline == nil)
            #expect(life.goOn(at: begin) == [.launch], "\(stage)")
        }
    }

    @Test("a launch that is called off ends as one that is not wanted, and begins again after the pause")
    func calledOff() {
        var life = life(in: .launching)
        _ = life.pause(endingFor: nil, at: begin)
        #expect(!life.isStill)
        expect(life.launched(at: moment(10)).first, .kill)
        expect(life.exited("was killed", forOwner: false, at: moment(20)), [])
        #expect(life.phase == .held)
        expect(life.goOn(at: moment(30)), [.launch])
        #expect(life.restarts == 0)
    }

    @Test("a process that does not freeze in time is killed, and one that is frozen has all the time there is")
    func freezing() {
        for stage in Stage.allCases where stage.hasProcess {
            var slow = life(in: stage)
            _ = slow.pause(endingFor: nil, at: begin)
            #expect(!slow.isStill)
            #expect(slow.nextDeadline == moment(limits.freezeMilliseconds))
            #expect(slow.tick(at: moment(limits.freezeMilliseconds)).first == .kill, "\(stage)")

            var frozen = life(in: stage)
            _ = frozen.pause(endingFor: nil, at: begin)
            _ = frozen.froze()
            #expect(frozen.isStill && frozen.nextDeadline == nil)
            #expect(frozen.tick(at: moment(1_000_000_000)) == [], "\(stage)")
        }
    }

    @Test("the times of a process and of its next start go on after the pause where they stood")
    func times() {
        let hour: UInt64 = 3_600_000
        for stage in [Stage.greeting, .loading, .ready, .backingOff] {
            let before = life(in: stage).nextDeadline
            var life = life(in: stage)
            _ = life.pause(endingFor: nil, at: moment(10))
            _ = life.froze()
            #expect(life.nextDeadline == nil)
            #expect(life.goOn(at: moment(10 + hour)) == (stage.hasProcess ? [.thaw] : []), "\(stage)")
            #expect(life.nextDeadline == before?.advanced(milliseconds: hour), "\(stage)")
        }
    }

    @Test("the stall of a busy backend is not counted over a pause, and is counted after it")
    func stall() {
        var life = life(in: .ready)
        _ = life.answered(progress: 1, isBusy: true, at: moment(1_000))
        _ = life.pause(endingFor: nil, at: moment(2_000))
        _ = life.froze()
        _ = life.goOn(at: moment(10_000_000))
        expect(life.answered(progress: 1, isBusy: true, at: moment(10_000_500)), [])
        expect(life.answered(progress: 1, isBusy: true, at: moment(10_000_000 + limits.stallMilliseconds)).first, .kill)
    }

    @Test("a model's idle time and a drain have as much left as they had")
    func idleTime() {
        var life = life(in: .ready)
        _ = life.idle(until: moment(3_000))
        _ = life.drain(then: .start, isIdle: false, why: "its owner has changed it", at: begin)
        _ = life.pause(endingFor: nil, at: moment(1_000))
        _ = life.froze()
        _ = life.goOn(at: moment(9_000))
        #expect(life.restAt == moment(11_000))
        #expect(life.drain?.until == moment(8_000 + limits.drainMilliseconds))
    }

    @Test("a sleep of the machine counts as idle time of a model, unless it is paused, and as nothing else")
    func slept() {
        let second: UInt64 = 1_000_000_000
        for stage in Stage.allCases {
            var life = life(in: stage)
            let before = (phase: life.phase, deadline: life.nextDeadline)
            expect(life.slept(nanoseconds: 60 * second), [])
            #expect(life.phase == before.phase && life.nextDeadline == before.deadline, "\(stage)")
        }
        var idle = life(in: .ready)
        _ = idle.idle(until: moment(100_000))
        _ = idle.slept(nanoseconds: 60 * second)
        #expect(idle.restAt == moment(40_000))
        _ = idle.pause(endingFor: nil, at: begin)
        _ = idle.slept(nanoseconds: 60 * second)
        #expect(idle.restAt == moment(40_000))
        _ = idle.goOn(at: begin)
        _ = idle.slept(nanoseconds: 60 * second)
        expect(idle.tick(at: begin), [.shutDown(graceMilliseconds: limits.replaceGraceMilliseconds)])
    }

    @Test("a frozen process that is to end is killed, because it cannot end by itself")
    func endsFrozen() {
        var stopped = life(in: .ready)
        _ = stopped.pause(endingFor: nil, at: begin)
        _ = stopped.froze()
        expect(stopped.stop(graceMilliseconds: 2_000, why: "the host stops", at: begin).first, .kill)
        _ = stopped.exited("was killed", forOwner: false, at: begin)
        #expect(stopped.phase == .stopped)
    }

    @Test("a restart waits for what runs, or ends it, and tries again what failed; on demand it waits for a request")
    func restarts() {
        var busy = life(in: .ready)
        expect(busy.restart(then: .start, isIdle: false, isNow: false, at: begin), [])
        // A look at the folder finds what runs unchanged, and must not end the drain for that.
        #expect(busy.state == .draining && busy.standing == .running)
        expect(busy.drain(then: .start, isIdle: false, why: "its owner has changed it", at: begin), [])
        #expect(busy.standing == .running)
        expect(busy.becameIdle(at: begin), [.shutDown(graceMilliseconds: limits.replaceGraceMilliseconds)])

        var now = life(in: .ready)
        expect(now.restart(then: .start, isIdle: false, isNow: true, at: begin).first, .kill)
        expect(now.exited("was killed", forOwner: false, at: begin), [.launch])
        #expect(now.restarts == 0)

        var onDemand = life(in: .ready)
        _ = onDemand.restart(then: .rest, isIdle: false, isNow: true, at: begin)
        expect(onDemand.exited("was killed", forOwner: false, at: begin), [])
        #expect(onDemand.phase == .resting)

        for isNow in [false, true] {
            for stage in [Stage.failed, .backingOff] {
                var life = life(in: stage)
                expect(life.restart(then: .start, isIdle: true, isNow: isNow, at: begin), [.launch])
            }
            var failed = life(in: .failed)
            expect(failed.restart(then: .rest, isIdle: true, isNow: isNow, at: begin), [])
            #expect(failed.phase == .resting)
            for stage in [Stage.idle, .stopped, .resting, .stopping, .ending, .killed] {
                var life = life(in: stage)
                let phase = life.phase
                expect(life.restart(then: .start, isIdle: true, isNow: isNow, at: begin), [])
                #expect(life.phase == phase)
            }
        }
    }
}
