internal import BackendIPC
package import EventLoop
internal import InferenceMessages
internal import LaunchPlan
internal import LinuxSystem
internal import Logging
internal import SandboxLaunch
internal import SandboxPolicy
internal import TerminalText

/// A backend's process for one model, or one of several, watched and restarted, and the sequences that run on it.
/// Consumers ask for a `ServedModel`.
///
/// Made and kept by the `Supervisor`; the I/O loop's own. `BackendLifecycle` decides, and this class does what it says.
@IOLoop
package final class ManagedBackend {
    /// The executable's file name.
    nonisolated package let name: String
    /// The id of the model that its manifest offers.
    nonisolated package let model: String
    /// Its number among the processes for the model, from 1.
    nonisolated package let number: Int

    /// What its last process has told.
    var facts = BackendFacts()
    /// The digest of the weights (`ModelWeights.digest`); empty without weights, or before they were read.
    package internal(set) var modelDigest: [UInt8] = []
    /// Decode steps of this process, as of its last Pong.
    package internal(set) var steps: UInt64 = 0
    /// Tokens that this process has sent: counted here, whatever its Pongs say.
    package var tokens: UInt64 { connection?.tokensReceived ?? 0 }

    /// How its last process ended; nil before one has.
    private(set) var lastExit: ExitStatus?
    /// The failure of its last launcher; nil when there was none.
    private(set) var lastLaunchFailure: LaunchFailure?
    /// The system calls that its filter denied.
    package private(set) var denied = DeniedCalls()

    /// The definition that is to run.
    var definition: BackendDefinition
    /// The definition that runs, or ran last.
    var launched: BackendDefinition
    /// The files that it needs, as the last look found them, and as they were when it was launched.
    var files: BackendFiles?
    var filesAtLaunch: BackendFiles?
    /// What its backend told of its file; nil before that.
    package var inspectedFile: InspectedFile? { didSet { noteChange() } }
    /// The memory for its process, as the inspection before its launch said; nil where there was none.
    var memoryMebibytesAtLaunch: UInt64?
    /// The changes in the folder that are not in force for it, and why; empty when there are none.
    var notice = ""
    let setting: BackendSetting
    let logger: Logger
    private(set) var lifecycle: BackendLifecycle
    var deadline: Timer?
    let launches: Launches
    var process: BackendProcess?
    var connection: BackendConnection?
    /// The weights that the process has open.
    var weights: LoadedWeights?
    /// Whether the process has loaded its model.
    var wasReady = false
    var addedRisks: [ResidualRisk] = []
    var log: BackendLog
    private var shown: (state: State, detail: String, pid: Int32) = (.stopped, "", 0)
    /// When it was last given work, and the callers whose computed state it may still have.
    var lastUsed = Monotonic.now()
    var scopes: RecentScopes
    var keepAlive = KeepAlive()
    private var turnEndIsDue = false
    /// The loss of its last process is explained.
    var isBlameless = false
    var availabilityChanged = false
    /// What waits while its process is about to pass to another agent; nil: it is not.
    var standstill: Standstill?
    /// The number by which the process is known that could be passed on at any moment; 0: it cannot, or nobody wants it.
    var passingKey: UInt64 = 0
    var endWaiters: [@IOLoop () -> Void] = []
    var stillWaiters: [@IOLoop () -> Void] = []

    init(_ definition: BackendDefinition, number: Int = 1, setting: BackendSetting) {
        name = definition.name
        model = definition.model.id
        self.number = number
        self.definition = definition
        launched = definition
        self.setting = setting
        launches = Launches(setting)
        var logger = setting.logger
        logger[metadataKey: "backend"] = "\(definition.name)"
        logger[metadataKey: "model"] = "\(definition.model.id)"
        if definition.replicas > 1 { logger[metadataKey: "replica"] = "\(number)" }
        self.logger = logger
        let limits = setting.configuration.limits
        scopes = RecentScopes(countMax: limits.recentScopesMax)
        lifecycle = BackendLifecycle(
            limits: limits, remedy: "to try again: touch \(definition.retryPath)",
            restartsItself: setting.configuration.restartsBackends)
        log = BackendLog(
            bytesMax: limits.logBytesMax, linesMax: limits.logLinesMax, lineBytesMax: limits.logLineBytesMax)
        if setting.hold.pause != nil { pause() }
    }
}

// The lifecycle's driver.
extension ManagedBackend {
    /// Passes an event to the lifecycle, and does what it asks for.
    func apply(_ event: @escaping @IOLoop (inout BackendLifecycle, Monotonic) -> [BackendLifecycle.Action]) {
        if standstill != nil {
            standstill?.events.append { [weak self] in self?.apply(event) }
            return
        }
        for action in event(&lifecycle, .awake()) { carryOut(action) }
        deadline?.cancel()
        deadline = lifecycle.nextDeadline.map { due in
            // Rounded up, so that the deadline is over when the timer fires.
            let wait = (due.since(.awake()) + 999_999) / 1_000_000
            return IOLoop.schedule(afterMilliseconds: wait) { [weak self] in self?.deadlinePassed() }
        }
        noteChange()
        if !lifecycle.isAlive {
            let waiters = endWaiters
            endWaiters = []
            for waiter in waiters { waiter() }
        }
        if !stillWaiters.isEmpty, lifecycle.isStill {
            let waiters = stillWaiters
            stillWaiters = []
            for waiter in waiters { waiter() }
        }
    }

    private func deadlinePassed() {
        if launches.haveProgressed() { apply { $0.launchProgressed(at: $1) } }
        apply { $0.tick(at: $1) }
    }

    private func carryOut(_ action: BackendLifecycle.Action) {
        switch action {
        case .launch: launch()
        case .abandonLaunch: launches.abandon()
        case .callOffLaunch: launches.callOff()
        case .freeze: process?.freeze()
        case .thaw: process?.thaw()
        case .ping: connection?.ping()
        case .shutDown(let graceMilliseconds): connection?.shutDown(graceMilliseconds: graceMilliseconds)
        case .kill:
            connection?.close()
            process?.kill()
        case .letGo: letGo()
        case .lose(let reason, let isFailure):
            connection?.loseAll("the backend \(name) \(reason)", isFailure: isFailure)
        }
    }

    /// Milliseconds since 1970.
    private static var clock: UInt64 { UInt64(max(0, FileFacts.clockNanoseconds() / 1_000_000)) }

    private func launch() {
        launched = definition
        filesAtLaunch = files
        memoryMebibytesAtLaunch = memoryMebibytes
        launches.begin(launchedInFull) { result in
            self.launchEnded(result)
        } hungUntilNow: { definition in
            // The disk that it hung on answers again.
            if definition.isSame(as: self.launchedInFull) { self.apply { $0.obstacleChanged(at: $1) } }
        }
    }

    func launchEnded(_ result: Result<StartedBackend, StartFailure>) {
        if standstill != nil {
            standstill?.launch = result
            return
        }
        do {
            try adopt(try result.get())
            apply { $0.launched(at: $1) }
        } catch {
            let failure = error as? StartFailure ?? StartFailure(error)
            if failure.isWaiting { return apply { $0.launchWaits(failure.description, at: $1) } }
            apply { $0.launchFailed(failure.description, forOwner: failure.isForOwner, at: $1) }
        }
    }

    private func adopt(_ launch: StartedBackend) throws {
        modelDigest = launch.weights?.digest ?? []
        addedRisks = launch.addedRisks
        do throws(LinuxError) {
            connection = try BackendConnection(launch.process, limits: setting.configuration.limits, owner: self)
            process = try watched(launch.process)
        } catch {
            connection?.close()
            connection = nil
            launch.process.end()
            throw error
        }
        weights = launch.weights.map(watched)
        wasReady = false
        log.beginProcess(pid)
        var metadata: Logger.Metadata = ["pid": "\(pid)"]
        if launched.fileName != name { metadata["build"] = "\(launched.fileName)" }
        logger.info("launched", metadata: metadata)
    }

    func watched(
        _ handles: SandboxedProcess, keeper: KeeperConversation = KeeperConversation()
    ) throws(LinuxError) -> BackendProcess {
        let process = try BackendProcess(
            handles, limits: setting.configuration.limits, keeper: keeper,
            wrote: { [weak self] in self?.log.append($0, at: Self.clock) },
            denied: { [weak self] in self?.denied.note($0) },
            exited: { [weak self] in self?.exited($0, $1) })
        process.frozen = { [weak self] in self?.apply { life, _ in life.froze() } }
        process.keeperSpoke = { [weak self] in self?.tellPassable() }
        return process
    }

    func watched(_ weights: ModelWeights) -> LoadedWeights {
        LoadedWeights(
            weights, digests: setting.digests,
            checkMilliseconds: setting.configuration.limits.weightsCheckMilliseconds,
            noticed: { [weak self] in self?.noteChange() }, changed: { [weak self] in self?.weightsChanged($0) })
    }

    private func exited(_ process: BackendProcess, _ status: ExitStatus) {
        // A process that was let go of does not matter any more.
        guard process === self.process else { return }
        connection?.readRest()
        lastExit = status
        lastLaunchFailure = process.launchFailure
        let exit = BackendExit(status, circumstances(of: process))
        log.note("(the process \(lifecycle.whyItEnds ?? exit.words))", at: Self.clock)
        if let use = process.use {
            logger.info(
                "ended",
                metadata: [
                    "pid": "\(process.pid)", "processor_milliseconds": "\(use.processorMicroseconds / 1_000)",
                    "memory_mebibytes": "\(use.memoryBytes >> 20)",
                ])
        }
        forgetProcess()
        let workedTokens = tokens + (connection?.tokensEmbedded ?? 0)
        let hasWorked = workedTokens >= setting.configuration.limits.workedTokensMin
        apply {
            $0.exited(
                exit.words, detail: exit.detail, forOwner: exit.isForOwner, ofHost: exit.isOfHost,
                isFailure: exit.isFailure, hasWorked: hasWorked, at: $1)
        }
        connection = nil
        steps = 0
    }

    private func circumstances(of process: BackendProcess) -> BackendExit.Circumstances {
        let mebibytes = LaunchPlanner.memoryBytes(launchedInFull.manifest, setting.configuration.owner) >> 20
        return BackendExit.Circumstances(
            launchFailure: process.launchFailure, wasReady: wasReady,
            ranOutOfMemory: process.handles.group?.ranOutOfMemory ?? false,
            memory: "\(mebibytes) MiB beside its weights (memoryMebibytes in \(name).json)",
            deniedCalls: namesOfDenied,
            lines: log.linesOfProcess, weights: weights?.path)
    }

    /// The system calls that the filter has denied its process, the last one first.
    var namesOfDenied: [String] { denied.ofProcess.map { SyscallNames.name(of: $0) ?? "system call \($0)" } }

    /// Goes on without the process: its end, whenever it comes, means nothing any more.
    private func letGo() {
        log.note("(the process does not end; nobody waits for it any more)", at: Self.clock)
        forgetProcess()
        connection = nil
    }

    func forgetProcess() {
        connection?.close()
        process = nil
        if passingKey != 0 { setting.gone?(passingKey) }
        passingKey = 0
        weights?.forget()
        weights = nil
        keepAlive = KeepAlive()
        scopes = RecentScopes(countMax: scopes.countMax)
        denied.processEnded()
    }

    private func weightsChanged(_ reason: String) {
        logger.notice("\(reason)")
        apply { $0.replaceNow(because: reason, at: $1) }
    }
}

// Telling of changes, once a turn.
extension ManagedBackend: TurnEndHandler {
    func noteChange() {
        if (state, detail, pid) != shown { askForTurnEnd() }
    }

    func askForTurnEnd() {
        if turnEndIsDue { return }
        turnEndIsDue = true
        IOLoop.atTurnEnd(self)
    }

    package func turnEnded() {
        turnEndIsDue = false
        if standstill != nil { return }
        watchIdleness()
        if isBlameless, !lifecycle.isAlive {
            isBlameless = false
            apply { $0.lossIsExplained(at: $1) }
        }
        if lifecycle.drain != nil, isIdle { apply { $0.becameIdle(at: $1) } }
        // Requests that wait for the model are told its loaded fraction; those that wait for memory, that a process has
        // gone.
        let stateChanged =
            state != shown.state || pid != shown.pid || (state == .loading && detail != shown.detail)
        let changed = (state, detail, pid) != shown
        shown = (state, detail, pid)
        // Without a detail its exit, which tells why, is still awaited.
        if changed, !detail.isEmpty, state == .backingOff || state == .failed {
            logger.warning("\(state.rawValue)", metadata: ["reason": "\(detail)"])
        }
        if changed { setting.changed?(self) }
        if stateChanged || availabilityChanged {
            availabilityChanged = false
            setting.available?(model)
        }
    }
}
