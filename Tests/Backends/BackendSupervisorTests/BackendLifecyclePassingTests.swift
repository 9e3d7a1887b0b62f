import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("BackendLifecycle that passes from one agent to another")
struct BackendLifecyclePassingTests {
    private let begin = Monotonic(nanoseconds: 1_000_000_000_000)
    private let limits = SupervisorConfiguration.Limits()
    private func moment(_ milliseconds: UInt64) -> Monotonic { begin.advanced(milliseconds: milliseconds) }

    private func fresh() -> BackendLifecycle { BackendLifecycle(limits: limits, remedy: "touch it") }

    private var inherited: BackendLifecycle.Inherited {
        BackendLifecycle.Inherited(readySince: Monotonic(nanoseconds: 5), restarts: 3, lossesInARow: 2)
    }

    /// One that goes on with a process since `begin`.
    private func goingOn() -> BackendLifecycle {
        var life = fresh()
        let actions = life.goesOn(with: inherited, at: begin)
        #expect(actions == [.thaw])
        return life
    }

    private enum Stage: CaseIterable {
        case idle, launching, greeting, loading, ready, stopping, ending, killed, backingOff, failed, resting, stopped
    }

    private func life(in stage: Stage) -> BackendLifecycle {
        var life = fresh()
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

    @Test("it is ready, and takes requests once what the other agent had begun has ended")
    func settles() {
        var life = goingOn()
        #expect(life.state == .ready && life.isAlive && life.isSettling && !life.takesRequests)
        #expect(life.restarts == 3 && life.lossesInARow == 2)
        let actions = life.settled()
        #expect(actions.isEmpty && life.takesRequests && !life.isSettling)
        #expect(life.nextDeadline == moment(limits.pingIntervalMilliseconds))
    }

    @Test("one that does not end it in time is killed as one that failed")
    func doesNotSettle() {
        var life = goingOn()
        var now = begin
        while now < moment(limits.settleMilliseconds), let due = life.nextDeadline {
            now = due
            let actions = life.tick(at: now)
            guard actions == [.ping] else {
                guard case .lose(let reason, let isFailure) = actions.last else {
                    Issue.record("\(actions)")
                    return
                }
                #expect(actions.first == .kill && isFailure && reason.contains("another agent had begun"))
                break
            }
            _ = life.answered(progress: 0, isBusy: false, at: now)
        }
        #expect(now == moment(limits.settleMilliseconds))
        #expect(life.state == .backingOff)
    }

    @Test("one that answers no Ping is killed before that")
    func silent() {
        var life = goingOn()
        for count in 1...UInt64(limits.missedPingsMax) {
            let actions = life.tick(at: moment(count * limits.pingIntervalMilliseconds))
            #expect(actions == [.ping])
        }
        let actions = life.tick(at: moment(UInt64(limits.missedPingsMax + 1) * limits.pingIntervalMilliseconds))
        #expect(actions.first == .kill)
    }

    @Test("in a pause it is frozen, or is already, and its times stand still")
    func paused() {
        for isFrozen in [true, false] {
            var life = fresh()
            _ = life.pause(endingFor: nil, at: begin)
            var process = inherited
            process.isFrozen = isFrozen
            var actions = life.goesOn(with: process, at: begin)
            #expect(actions == (isFrozen ? [] : [.freeze]))
            #expect(life.isStill == isFrozen)
            if !isFrozen {
                #expect(life.nextDeadline == moment(limits.freezeMilliseconds))
                _ = life.froze()
            }
            #expect(life.isStill && life.nextDeadline == nil && !life.takesRequests)
            actions = life.goOn(at: moment(1_000_000))
            #expect(actions == [.thaw])
            #expect(life.nextDeadline == moment(1_000_000 + limits.pingIntervalMilliseconds))
            #expect(life.isSettling)
        }
    }

    @Test("only one that is ready or loads can be gone on with, as it stands")
    func inheritedStages() throws {
        for stage in Stage.allCases {
            let standing = life(in: stage).inherited(at: moment(5))
            #expect((standing != nil) == (stage == .ready || stage == .loading), "\(stage)")
        }
        let ready = try #require(goingOn().inherited(at: moment(5)))
        #expect(ready == inherited)
        var loading = life(in: .loading)
        _ = loading.loadProgressed(0.25, at: begin)
        let load = BackendLifecycle.Load(since: begin, until: moment(60_000), percent: 25, messages: 1)
        #expect(loading.inherited(at: moment(5)) == .init(load: load))
        _ = loading.pause(endingFor: nil, at: moment(10))
        #expect(loading.inherited(at: moment(10)) == .init(load: load))
        #expect(loading.inherited(at: moment(1_010)) == .init(load: load.delayed(nanoseconds: 1_000_000_000)))
    }

    /// One that goes on since `begin` with a load that had begun a minute before, and may take another one.
    private func loading(_ adjust: (inout BackendLifecycle) -> Void = { _ in }) -> BackendLifecycle {
        var life = fresh()
        adjust(&life)
        let load = BackendLifecycle.Load(
            since: begin.earlier(nanoseconds: 60_000_000_000), until: moment(60_000), percent: 40, messages: 7)
        _ = life.goesOn(with: .init(restarts: 3, lossesInARow: 2, load: load), at: begin)
        return life
    }

    @Test("one that loads goes on loading, and takes requests once its model is loaded")
    func loads() {
        var life = loading()
        #expect(life.state == .loading && life.stateDetail == "40 % loaded" && life.isAlive && !life.isSettling)
        #expect(life.restarts == 3 && life.lossesInARow == 2 && !life.takesRequests)
        var actions = life.loadProgressed(0.5, at: moment(1))
        #expect(actions.isEmpty && life.stateDetail == "50 % loaded" && life.nextDeadline == moment(60_000))
        actions = life.loaded(at: moment(2))
        #expect(actions.isEmpty && life.takesRequests && life.state == .ready)
    }

    @Test("one that loads has as much time as it had, and tells as often as it might")
    func loadsTooLong() {
        var life = loading()
        let early = life.tick(at: moment(59_999))
        let late = life.tick(at: moment(60_000))
        #expect(early.isEmpty && late.first == .kill)
        life = loading()
        let most = limits.progressMessagesMax + 60 * limits.progressMessagesPerSecond
        for _ in 7..<most {
            let none = life.loadProgressed(0.5, at: begin)
            #expect(none.isEmpty)
        }
        let last = life.loadProgressed(0.5, at: begin)
        #expect(last.first == .kill)
    }

    @Test("one that loads is frozen in a pause, whose time does not count")
    func loadsInPause() {
        var life = loading { _ = $0.pause(endingFor: nil, at: begin) }
        _ = life.froze()
        #expect(life.isStill && life.nextDeadline == nil)
        let actions = life.goOn(at: moment(1_000_000))
        #expect(actions == [.thaw] && life.nextDeadline == moment(1_060_000))
    }

    @Test("standing still, its times are put off in every phase")
    func stoodStill() {
        for stage in Stage.allCases {
            var life = life(in: stage)
            let due = life.nextDeadline
            _ = life.stoodStill(nanoseconds: 7)
            #expect(life.nextDeadline == due?.advanced(nanoseconds: 7), "\(stage)")
        }
        var life = goingOn()
        _ = life.stoodStill(nanoseconds: 7)
        _ = life.answered(progress: 0, isBusy: false, at: begin)
        #expect(life.nextDeadline == moment(limits.pingIntervalMilliseconds).advanced(nanoseconds: 7))
        var paused = self.life(in: .ready)
        _ = paused.pause(endingFor: nil, at: begin)
        _ = paused.stoodStill(nanoseconds: 7)
        #expect(paused.nextDeadline == moment(limits.freezeMilliseconds).advanced(nanoseconds: 7))
    }

    @Test("passed on, its process is lost and not ended; any other is ended, and nothing is started any more")
    func passedOn() {
        var passed = life(in: .ready)
        let lost = passed.passOn(isPassed: true, at: begin)
        #expect(lost == [.lose(reason: "goes on under another agent")])
        #expect(!passed.isAlive && passed.state == .starting && passed.nextDeadline == nil)
        for stage in Stage.allCases {
            var life = life(in: stage)
            let actions = life.passOn(isPassed: false, at: begin)
            switch stage {
            case .greeting, .loading, .ready, .stopping: #expect(actions.first == .kill, "\(stage)")
            case .launching: #expect(actions == [.callOffLaunch])
            default: #expect(!actions.contains(.kill) && !actions.contains(.launch), "\(stage)")
            }
            if stage == .launching {
                let launched = life.launched(at: begin)
                #expect(launched.first == .kill)
            }
            _ = life.exited("was killed", forOwner: false, at: begin)
            #expect(life.phase == .passedOn, "\(stage)")
            passed = life
            for event in [
                { $0.start(at: $1) }, { $0.demand(at: $1) }, { $0.unload(at: $1) },
                { $0.restart(then: .start, isIdle: true, isNow: true, at: $1) }, { $0.obstacleChanged(at: $1) },
                { $0.goOn(at: $1) }, { $0.tick(at: $1) },
            ] as [(inout BackendLifecycle, Monotonic) -> [BackendLifecycle.Action]] {
                let none = event(&passed, moment(1_000_000))
                #expect(none.isEmpty && passed.phase == .passedOn, "\(stage)")
            }
        }
    }

    @Test("one that this agent would run otherwise is ended, and nothing follows of itself")
    func otherwise() {
        var life = fresh()
        let actions = life.ends(because: "was ended", at: begin)
        #expect(actions.first == .kill && life.isAlive)
        _ = life.exited("was killed", forOwner: false, at: begin)
        #expect(life.phase == .stopped)
    }
}
