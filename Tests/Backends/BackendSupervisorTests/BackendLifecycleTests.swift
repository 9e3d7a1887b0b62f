import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("BackendLifecycle")
struct BackendLifecycleTests {
    private let begin = Monotonic(nanoseconds: 1_000_000_000_000)
    private let limits = SupervisorConfiguration.Limits()

    private func moment(_ milliseconds: UInt64) -> Monotonic { begin.advanced(milliseconds: milliseconds) }

    private func lifecycle(_ limits: SupervisorConfiguration.Limits? = nil) -> BackendLifecycle {
        BackendLifecycle(limits: limits ?? self.limits, remedy: "touch it")
    }

    /// One that became ready at `begin`.
    private func ready(_ limits: SupervisorConfiguration.Limits? = nil) -> BackendLifecycle {
        var life = lifecycle(limits)
        _ = life.start(at: begin)
        bringUp(&life, at: begin)
        return life
    }

    private func bringUp(_ life: inout BackendLifecycle, at now: Monotonic) {
        _ = life.launched(at: now)
        _ = life.greeted(loadMilliseconds: 1_000, at: now)
        _ = life.loaded(at: now)
    }

    private func isReady(_ life: BackendLifecycle) -> Bool {
        if case .ready = life.phase { true } else { false }
    }

    /// `#expect` cannot call what mutates.
    private func expect(
        _ actions: [BackendLifecycle.Action], _ expected: [BackendLifecycle.Action],
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(actions == expected, sourceLocation: location)
    }

    private func expect(
        _ actions: [BackendLifecycle.Action], startWith expected: BackendLifecycle.Action,
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(actions.first == expected, sourceLocation: location)
    }

    @Test("it goes from launch through Hello and load to ready")
    func waysToReady() {
        var life = lifecycle()
        #expect(life.phase == .idle)
        expect(life.start(at: begin), [.launch])
        expect(life.launched(at: begin), [])
        #expect(life.phase == .greeting(until: moment(10_000)))
        expect(life.greeted(loadMilliseconds: 5_000, at: moment(10)), [])
        expect(life.loadProgressed(0.42, at: moment(20)), [])
        #expect(percent(life) == 42)
        #expect(life.nextDeadline == moment(5_010))
        expect(life.loaded(at: moment(30)), [])
        #expect(isReady(life))
        #expect(life.nextDeadline == moment(5_030))
        #expect(life.detail == "")
    }

    @Test("a fraction that is no number leaves the progress as it was", arguments: [Float.nan, .infinity, -.infinity])
    func senselessProgress(fraction: Float) {
        var life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launched(at: begin)
        _ = life.greeted(loadMilliseconds: 5_000, at: begin)
        _ = life.loadProgressed(fraction, at: begin)
        #expect(percent(life) == 0)
        _ = life.loadProgressed(1e30, at: begin)
        #expect(percent(life) == 100)
    }

    /// How far the load is; nil when nothing is loaded.
    private func percent(_ life: BackendLifecycle) -> Int? {
        if case .loading(let load) = life.phase { load.percent } else { nil }
    }

    @Test("progress may come ten times a second for as long as the load takes, even late and at once, but without end")
    func progressFlood() {
        var life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launched(at: begin)
        _ = life.greeted(loadMilliseconds: 600_000, at: begin)
        for tenth in 0..<3_000 { expect(life.loadProgressed(0.5, at: moment(UInt64(tenth) * 100)), []) }
        // The agent was held up for half a minute, and what was sent meanwhile comes in one piece.
        for _ in 0..<300 { expect(life.loadProgressed(0.5, at: moment(330_000)), []) }
        #expect(percent(life) == 50)

        life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launched(at: begin)
        _ = life.greeted(loadMilliseconds: 600_000, at: begin)
        for _ in 0..<100 { expect(life.loadProgressed(0.5, at: begin), []) }
        #expect(life.loadProgressed(0.5, at: begin).first == .kill)
        _ = life.exited("was killed", forOwner: false, at: begin)
        #expect(life.detail.contains("LoadProgress came 101 times within 1 s; send it at most ten times a second"))
    }

    @Test("without Hello in time it is killed, and started again after the backoff")
    func noHello() {
        var life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launched(at: begin)
        expect(life.tick(at: moment(9_999)), [])
        let reason = "sent no Hello within 10000 ms (clause 2.2)"
        expect(life.tick(at: moment(10_000)), [.kill, .lose(reason: reason)])
        expect(life.exited("was killed by signal 9 (SIGKILL)", forOwner: false, at: moment(10_001)), [])
        #expect(life.phase == .backingOff(until: moment(10_251)))
        #expect(life.detail == "\(reason); restart after 250 ms (1 in a row)")
        expect(life.tick(at: moment(10_251)), [.launch])
        #expect(life.restarts == 1)
    }

    @Test("a load that takes too long is ended, and its last progress told")
    func slowLoad() {
        var life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launched(at: begin)
        _ = life.greeted(loadMilliseconds: 700, at: begin)
        _ = life.loadProgressed(0.5, at: begin)
        let actions = life.tick(at: moment(700))
        #expect(actions == [.kill, .lose(reason: "did not load its model in time (it reached 50 %) (clause 3.6)")])
    }

    @Test("the wait doubles from loss to loss up to its bound")
    func backoffDoubles() {
        var life = ready()
        var waits: [UInt64] = []
        var now = begin
        for _ in 0..<11 {
            _ = life.exited("died", forOwner: false, at: now)
            guard case .backingOff(let until) = life.phase else { return #expect(Bool(false), "it backs off") }
            waits.append(until.since(now) / 1_000_000)
            now = until
            _ = life.tick(at: now)
            bringUp(&life, at: now)
        }
        #expect(waits == [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000, 120_000])
    }

    @Test("a healthy minute makes the next loss a first one again, and clears what was told")
    func healthResetsBackoff() throws {
        var life = ready()
        _ = life.exited("died", forOwner: false, at: begin)
        _ = life.tick(at: moment(250))
        bringUp(&life, at: moment(250))
        #expect(life.detail == "died; restart after 250 ms (1 in a row)")
        #expect(life.stateDetail == "", "it works again")
        var now = moment(250)
        while now < moment(60_250) {
            now = life.nextDeadline ?? now
            expect(life.tick(at: now), [.ping])
            _ = life.answered(progress: 0, isBusy: false, at: now)
        }
        #expect(life.detail == "")
        let failure = try #require(life.lastFailure, "what has failed is still known")
        #expect(failure.reason == "died" && failure.at == begin)
        _ = life.exited("died", forOwner: false, at: now)
        #expect(life.phase == .backingOff(until: now.advanced(milliseconds: 250)))
        #expect(life.lastFailure?.at == now)
    }

    @Test(
        "it is tried again without end; after many losses in a row nobody should wait for it, and its owner is told how"
    )
    func endless() {
        var life = ready()
        var now = begin
        for loss in 1...40 {
            _ = life.exited("died", forOwner: false, at: now)
            #expect(life.losesOften == (loss > 10))
            #expect(life.detail.hasSuffix(loss > 10 ? "(\(loss) in a row); touch it" : "(\(loss) in a row)"))
            now = life.nextDeadline ?? now
            expect(life.tick(at: now), [.launch])
            bringUp(&life, at: now)
        }
        #expect(life.restarts == 40)
        var byHand = life
        _ = byHand.exited("died", forOwner: false, at: now)
        expect(byHand.obstacleChanged(at: now), [.launch])
        #expect(!byHand.losesOften)
    }

    @Test("after a process that has worked, or whose loss is a request's fault, the next loss is a first one")
    func explained() {
        var life = ready()
        var now = begin
        for _ in 0..<12 {
            _ = life.exited("died", forOwner: false, at: now)
            now = life.nextDeadline ?? now
            _ = life.tick(at: now)
            bringUp(&life, at: now)
        }
        var worked = life
        _ = worked.exited("died", forOwner: false, hasWorked: true, at: now)
        #expect(worked.phase == .backingOff(until: now.advanced(milliseconds: 250)))
        #expect(!worked.losesOften)
        expect(life.lossIsExplained(at: now), [])
        #expect(isReady(life))
        _ = life.exited("died", forOwner: false, at: now)
        expect(life.lossIsExplained(at: now), [.launch])
        #expect(!life.losesOften)
    }

    @Test("one that is not to be started again has failed with its first loss")
    func once() {
        var life = BackendLifecycle(limits: limits, remedy: "touch it", restartsItself: false)
        _ = life.start(at: begin)
        bringUp(&life, at: begin)
        _ = life.exited("died", forOwner: false, at: begin)
        #expect(life.phase == .failed(retryAt: nil))
        #expect(life.detail == "died; touch it")
    }

    @Test("what a machine lacks for hours is asked for as long, at the greatest distance, and failed meanwhile")
    func longLack() {
        var life = lifecycle()
        _ = life.start(at: begin)
        var now = begin
        for _ in 0..<300 {
            _ = life.launchFailed("found no free descriptor", forOwner: false, at: now)
            #expect(life.detail.hasPrefix("found no free descriptor"))
            guard let due = life.nextDeadline else { return #expect(Bool(false), "it is tried again") }
            #expect(due.since(now) <= 120_000 * 1_000_000)
            now = due
            expect(life.tick(at: now), [.launch])
        }
        bringUp(&life, at: now)
        #expect(isReady(life))
    }

    @Test("what only the owner can put right is not tried again")
    func permanentFailure() {
        var life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launchFailed("names the unknown policy 'lax'", forOwner: true, at: begin)
        #expect(life.phase == .failed(retryAt: nil))
        #expect(life.nextDeadline == nil)
        #expect(life.detail == "names the unknown policy 'lax'; touch it")
        var refused = lifecycle()
        _ = refused.start(at: begin)
        _ = refused.launched(at: begin)
        _ = refused.exited("was refused by the sandbox", forOwner: true, at: begin)
        #expect(refused.phase == .failed(retryAt: nil))
    }

    @Test("what the host stands in the way of is tried again at a slow pace, for as long as it takes")
    func hostObstacle() {
        var life = lifecycle()
        _ = life.start(at: begin)
        for round: UInt64 in 0..<30 {
            let now = moment(round * 60_000)
            _ = life.launched(at: now)
            _ = life.exited("was not started: user-namespace", forOwner: true, ofHost: true, at: now)
            #expect(life.phase == .failed(retryAt: now.advanced(milliseconds: 60_000)))
            #expect(life.detail == "was not started: user-namespace; the next try is in 60 s; touch it")
            expect(life.tick(at: now.advanced(milliseconds: 59_999)), [])
            expect(life.tick(at: now.advanced(milliseconds: 60_000)), [.launch])
        }
    }

    @Test("what is final is so until something has changed: then it starts with the whole budget")
    func obstacles() {
        var life = lifecycle()
        _ = life.start(at: begin)
        _ = life.launchFailed("has no weights", forOwner: true, at: begin)
        expect(life.obstacleChanged(at: moment(1)), [.launch])
        #expect(life.detail == "")
        bringUp(&life, at: moment(1))
        _ = life.exited("died", forOwner: false, at: moment(2))
        // It need not wait for the end of a backoff either.
        expect(life.obstacleChanged(at: moment(3)), [.launch])
        #expect(life.phase == .launching(until: moment(30_003)))
    }

    @Test("what changes while it runs, is being started or was stopped does nothing to it")
    func obstaclesOfOthers() {
        var idle = lifecycle()
        expect(idle.obstacleChanged(at: begin), [])
        var running = ready()
        expect(running.obstacleChanged(at: begin), [])
        #expect(isReady(running))
        var launching = lifecycle()
        _ = launching.start(at: begin)
        expect(launching.obstacleChanged(at: moment(1)), [])
        var stopped = ready()
        _ = stopped.stop(graceMilliseconds: 1, why: "", at: begin)
        _ = stopped.exited("exited with code 0", forOwner: false, at: begin)
        expect(stopped.obstacleChanged(at: begin), [])
        #expect(stopped.phase == .stopped)
    }

    @Test("a launch that gets no further is abandoned and tried again later; one that gets on is not")
    func hangingLaunch() {
        var life = lifecycle()
        _ = life.start(at: begin)
        expect(life.tick(at: moment(29_999)), [])
        expect(life.launchProgressed(at: moment(29_999)), [])
        expect(life.tick(at: moment(30_000)), [])
        #expect(life.nextDeadline == moment(59_999))
        expect(life.tick(at: moment(59_999)), [.abandonLaunch])
        #expect(life.phase == .backingOff(until: moment(60_249)))
        #expect(life.detail.hasPrefix("was not started: reading its files"))
        // Events that come late have no effect any more.
        expect(life.launched(at: moment(60_000)), [])
        expect(life.launchFailed("too late", forOwner: true, at: moment(60_000)), [])
        expect(life.tick(at: moment(60_249)), [.launch])
    }

    @Test("a launch that hangs holds up neither a stop nor a replacement, whatever the grace")
    func stopOfHangingLaunch() {
        var stopped = lifecycle()
        _ = stopped.start(at: begin)
        expect(stopped.stop(graceMilliseconds: 60_000, why: "the host stops", at: begin), [])
        // It was called off; that it gets on is no reason to wait longer.
        expect(stopped.launchProgressed(at: moment(900)), [])
        expect(stopped.tick(at: moment(1_000)), [.abandonLaunch])
        #expect(stopped.phase == .stopped)
        #expect(stopped.detail == "the host stops")

        var replaced = lifecycle()
        _ = replaced.start(at: begin)
        expect(replaced.replace(graceMilliseconds: 60_000, at: begin), [])
        expect(replaced.tick(at: moment(1_000)), [.abandonLaunch, .launch])
        #expect(replaced.phase == .launching(until: moment(31_000)))

        var hurried = lifecycle()
        _ = hurried.start(at: begin)
        _ = hurried.stop(graceMilliseconds: 0, why: "", at: begin)
        expect(hurried.tick(at: begin), [.abandonLaunch])
    }

    @Test("a process that no kill ends is let go of: neither a stop nor the next start waits for it")
    func unkillable() {
        var life = ready()
        _ = life.broke("sent a token without credit", at: begin)
        #expect(life.nextDeadline == moment(5_000))
        expect(life.tick(at: moment(5_000)), [.letGo])
        #expect(life.phase == .backingOff(until: moment(5_250)))
        #expect(life.detail.contains("sent a token without credit, and is not gone 5000 ms after it was killed"))

        var stopped = ready()
        _ = stopped.stop(graceMilliseconds: 100, why: "the host stops", at: begin)
        expect(stopped.tick(at: moment(100)), startWith: .kill)
        expect(stopped.tick(at: moment(5_100)), [.letGo])
        #expect(stopped.phase == .stopped)
    }

    @Test("what was loaded once is not final, whatever it says of its model")
    func badModelLater() {
        var life = ready()
        _ = life.gaveUp("the model is bad", forOwner: true, at: begin)
        _ = life.exited("exited with code 1", forOwner: false, at: begin)
        #expect(life.phase == .backingOff(until: moment(250)))
        var loading = lifecycle()
        _ = loading.start(at: begin)
        _ = loading.launched(at: begin)
        _ = loading.greeted(loadMilliseconds: 1_000, at: begin)
        _ = loading.gaveUp("the model is bad", forOwner: true, at: begin)
        _ = loading.exited("exited with code 1", forOwner: false, at: begin)
        #expect(loading.phase == .failed(retryAt: nil))
    }

    @Test("consumers are told the words of an exit, and its owner the details")
    func exitDetails() {
        var life = ready()
        expect(
            life.exited("was killed", detail: "was killed; its last words were 'x'", forOwner: false, at: begin),
            [.lose(reason: "was killed", isFailure: true)])
        #expect(life.detail == "was killed; its last words were 'x'; restart after 250 ms (1 in a row)")
    }

    @Test("three unanswered pings end it")
    func silence() {
        var life = ready()
        for round in 1...3 { expect(life.tick(at: moment(UInt64(round) * 5_000)), [.ping]) }
        let reason =
            "answered no Ping for 15000 ms: it hangs, or one part of a step takes longer than that on this machine (clause 7.3)"
        expect(life.tick(at: moment(20_000)), [.kill, .lose(reason: reason, isFailure: true)])
    }

    @Test("one answer makes up for the pings before it")
    func lateAnswer() {
        var life = ready()
        _ = life.tick(at: moment(5_000))
        _ = life.tick(at: moment(10_000))
        expect(life.answered(progress: 0, isBusy: false, at: moment(12_000)), [])
        for round in 3...5 { expect(life.tick(at: moment(UInt64(round) * 5_000)), [.ping]) }
    }

    @Test("answers without progress end it only while it has something to compute")
    func stall() {
        var life = ready()
        expect(life.answered(progress: 7, isBusy: false, at: moment(300_000)), [])
        expect(life.answered(progress: 7, isBusy: true, at: moment(330_000)), [])
        expect(life.answered(progress: 8, isBusy: true, at: moment(350_000)), [])
        expect(life.answered(progress: 8, isBusy: true, at: moment(409_999)), [])
        let reason =
            "computed nothing for 60000 ms while sequences had credit or were cancelled: it hangs, or one part of a step "
            + "takes longer than that on this machine (clause 7.4)"
        expect(
            life.answered(progress: 8, isBusy: true, at: moment(410_000)),
            [.kill, .lose(reason: reason, isFailure: true)])
    }

    @Test("work that has only just begun is given its whole time, however long the backend was idle before")
    func stallAfterIdleness() {
        var life = ready()
        expect(life.answered(progress: 0, isBusy: true, at: moment(200_000)), [])
        expect(life.answered(progress: 0, isBusy: true, at: moment(259_999)), [])
        expect(life.answered(progress: 0, isBusy: true, at: moment(260_000)), startWith: .kill)
    }

    @Test("a broken contract is told in its own words, whatever the exit says")
    func violation() {
        var life = ready()
        expect(life.broke("sent a token without credit", at: begin), startWith: .kill)
        expect(life.broke("again", at: begin), [])
        _ = life.exited("was killed by signal 9 (SIGKILL)", forOwner: false, at: begin)
        #expect(life.detail == "sent a token without credit; restart after 250 ms (1 in a row)")
    }

    @Test("a closed socket waits for the exit that explains it")
    func closedSocket() {
        var life = ready()
        expect(life.closed(at: begin), [])
        expect(
            life.exited("was killed by signal 11 (SIGSEGV)", forOwner: false, at: moment(1)),
            startWith: .lose(reason: "was killed by signal 11 (SIGSEGV)", isFailure: true))
        var lingering = ready()
        _ = lingering.closed(at: begin)
        expect(lingering.tick(at: moment(1_000)), startWith: .kill)
    }

    @Test("a backend that gives up loses its sequences at once, and has a moment to end")
    func givesUp() {
        var life = ready()
        expect(
            life.gaveUp("has no memory", forOwner: false, at: begin), [.lose(reason: "has no memory", isFailure: true)])
        expect(life.tick(at: moment(1_000)), [.kill])
        #expect(life.nextDeadline == moment(6_000))
        _ = life.exited("was killed by signal 9 (SIGKILL)", forOwner: false, at: moment(1_001))
        #expect(life.detail == "has no memory; restart after 250 ms (1 in a row)")
    }

    @Test("a stop asks first, kills after the grace, and does not start it again")
    func stop() {
        var life = ready()
        expect(life.stop(graceMilliseconds: 100, why: "the host stops", at: begin), [.shutDown(graceMilliseconds: 100)])
        expect(life.tick(at: moment(100)), startWith: .kill)
        _ = life.exited("was killed by signal 9 (SIGKILL)", forOwner: false, at: moment(101))
        #expect(life.phase == .stopped)
        #expect(life.detail == "the host stops")
        expect(life.tick(at: moment(1_000_000)), [])
    }

    @Test("a stop while the launcher is being started ends what then comes up")
    func stopWhileLaunching() {
        var life = lifecycle()
        _ = life.start(at: begin)
        expect(life.stop(graceMilliseconds: 100, why: "", at: begin), [])
        expect(life.launched(at: begin), startWith: .kill)
        _ = life.exited("was killed by signal 9 (SIGKILL)", forOwner: false, at: begin)
        #expect(life.phase == .stopped)
    }

    @Test("a second stop can only shorten the grace")
    func secondStop() {
        var life = ready()
        _ = life.stop(graceMilliseconds: 1_000, why: "", at: begin)
        _ = life.stop(graceMilliseconds: 60_000, why: "", at: begin)
        #expect(life.phase == .stopping(killAt: moment(1_000)))
        _ = life.stop(graceMilliseconds: 0, why: "", at: begin)
        expect(life.tick(at: begin), startWith: .kill)
    }

    @Test("a replacement starts afresh once the old process is gone, with the whole budget")
    func replace() {
        var life = ready()
        _ = life.exited("died", forOwner: false, at: begin)
        _ = life.tick(at: moment(250))
        bringUp(&life, at: moment(250))
        expect(life.replace(graceMilliseconds: 50, at: moment(300)), [.shutDown(graceMilliseconds: 50)])
        expect(
            life.exited("exited with code 0", forOwner: false, at: moment(310)),
            [.lose(reason: "was stopped"), .launch])
        #expect(life.detail == "")
        var yielding = lifecycle()
        _ = yielding.yield(why: "is a duplicate", at: begin)
        expect(yielding.replace(graceMilliseconds: 50, at: begin), [.launch])
    }
}
