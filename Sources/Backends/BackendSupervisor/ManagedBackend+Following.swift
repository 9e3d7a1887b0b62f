internal import EventLoop
internal import LinuxSystem
internal import SandboxPolicy

// Requests of the supervisor: what its folder and its owner want of it.
extension ManagedBackend {
    /// Starts it, for a trial run, which has no folder.
    func start() { apply { $0.start(at: $1) } }

    /// Ends the process if there is one, within the grace.
    func stop(graceMilliseconds: UInt64, why: String) {
        launches.callOff()
        apply { $0.stop(graceMilliseconds: graceMilliseconds, why: why, at: $1) }
    }

    /// Stops its computing, as the owner's hold says, until `goOn`.
    func pause() {
        let isUnloaded = setting.hold.pause == .unloaded
        apply { $0.pause(endingFor: isUnloaded ? self.afterwards : nil, at: $1) }
    }

    func goOn() { apply { $0.goOn(at: $1) } }

    /// What follows the end of a process that is to be another one.
    private var afterwards: BackendLifecycle.Afterwards { isOnDemand ? .rest : .start }

    /// Ends its process once nothing runs on it, or at once, and has it started anew; tries one that failed again.
    func restart(isNow: Bool) {
        apply { $0.restart(then: self.afterwards, isIdle: self.isIdle, isNow: isNow, at: $1) }
    }

    /// The machine has slept for so long.
    func slept(nanoseconds: UInt64) {
        keepAlive.slept(nanoseconds: nanoseconds)
        apply { life, _ in life.slept(nanoseconds: nanoseconds) }
    }

    /// Calls back once nothing of it computes, or it is not paused any more.
    func whenStill(_ body: @escaping @IOLoop () -> Void) {
        if lifecycle.isStill { body() } else { stillWaiters.append(body) }
    }

    /// Lets what runs on it end, and ends it then for good.
    func drainAndStop(why: String) {
        launches.callOff()
        apply { $0.drain(then: .stop, isIdle: self.isIdle, why: why, at: $1) }
    }

    /// Applies what a look at the folder found for it: its definition, the files that it needs, the facts of the
    /// weights that it has open (`held`), and the changes that are not in force (`notice`). `rival` serves its model in
    /// its stead.
    func follow(
        _ definition: BackendDefinition, rival: String?, files: BackendFiles, held: [FileFacts?], notice: String
    ) {
        let isSame = self.definition.isSame(as: definition)
        self.definition = definition
        saw(files, held: held, notice: notice)
        let decision = FolderDecision(
            lifecycle.standing, isSame: isSame, isSameAsRuns: launched.isSame(as: definition),
            isOnDemand: isOnDemand, rival: rival, filesHaveChanged: filesHaveChanged,
            weightsAreThere: files.weights.areThere)
        switch decision {
        case .keep: break
        case .yield(let rival):
            let why =
                "the model '\(model)' of \(name) is served by \(rival) already; give it another id in \(name).json"
            apply { $0.yield(why: why, at: $1) }
        case .start: start()
        case .rest: apply { life, _ in life.rest() }
        case .drain:
            launches.callOff()
            apply { $0.drain(then: self.afterwards, isIdle: self.isIdle, why: "its owner has changed it", at: $1) }
        case .startAnew: apply { $0.replace(graceMilliseconds: 0, at: $1) }
        case .retry: apply { $0.obstacleChanged(at: $1) }
        }
    }

    private func saw(_ files: BackendFiles, held: [FileFacts?], notice: String) {
        self.files = files
        if filesAtLaunch?.isComplete == false, files.isComplete { filesAtLaunch = files }
        self.notice = notice
        if let why = definition.wait(for: files.weights) {
            apply { life, _ in life.goesOnWaiting(why) }
        }
        weights?.look(files.weights, at: definition.weights.places, held: held)
        noteChange()
    }

    /// A file that it needs is not as it was when it was launched.
    private var filesHaveChanged: Bool { filesAtLaunch?.isComplete == true && files != filesAtLaunch }

    var isIdle: Bool { runningRequests == 0 }

    /// Calls back once no process runs or is being started.
    func whenEnded(_ body: @escaping @IOLoop () -> Void) {
        if lifecycle.isAlive { endWaiters.append(body) } else { body() }
    }
}
