package import BackendIPC
package import EventLoop
internal import InferenceMessages
internal import LaunchPlan
package import LinuxSystem
package import Logging
internal import SandboxLaunch
package import SandboxPolicy
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

    /// "name/version" from its Hello; empty before the first.
    package private(set) var version = ""
    /// The capabilities that its Hello named and that matter to consumers, without those that its model lacks, and "generate"
    /// unless it does.
    package private(set) var capabilities: [String] = []
    /// The numbers of a vector; 0: its model makes none, or was not loaded yet.
    package private(set) var embeddingDimensions: UInt32 = 0
    /// Whether it looks for stop strings itself.
    package private(set) var matchesStops = false
    /// The digest of the weights (`ModelWeights.digest`); empty without weights, or before they were read.
    package private(set) var modelDigest: [UInt8] = []
    /// Tokens of prompt and completion together; 0 before the model was loaded.
    package private(set) var maxContextTokens: UInt32 = 0
    /// The most sequences that run at once; 0 before the model was loaded.
    package private(set) var maxSequences: UInt32 = 0
    /// The `Loaded.sampling_defaults` of its last process; empty before the model was loaded.
    private var ownSamplingDefaults: [UInt8] = []
    /// Decode steps of this process, as of its last Pong.
    package private(set) var steps: UInt64 = 0
    /// Tokens that this process has sent: counted here, whatever its Pongs say.
    package var tokens: UInt64 { connection?.tokensReceived ?? 0 }

    /// How its last process ended; nil before one has.
    private(set) var lastExit: ExitStatus?
    /// The failure of its last launcher; nil when there was none.
    private(set) var lastLaunchFailure: LaunchFailure?
    /// The system calls that its filter denied.
    package private(set) var denied = DeniedCalls()

    /// The definition that is to run.
    private(set) var definition: BackendDefinition
    /// The definition that runs, or ran last.
    private(set) var launched: BackendDefinition
    /// The files that it needs, as the last look found them, and as they were when it was launched.
    private(set) var files: BackendFiles?
    private var filesAtLaunch: BackendFiles?
    /// What its backend told of its file; nil before that.
    package var inspectedFile: InspectedFile? { didSet { noteChange() } }
    /// The memory for its process, as the inspection before its launch said; nil where there was none.
    private(set) var memoryMebibytesAtLaunch: UInt64?
    /// The changes in the folder that are not in force for it, and why; empty when there are none.
    private var notice = ""
    let setting: BackendSetting
    private let logger: Logger
    private(set) var lifecycle: BackendLifecycle
    private var deadline: Timer?
    private let launches: Launches
    private var process: BackendProcess?
    private var connection: BackendConnection?
    /// The weights that the process has open.
    private(set) var weights: LoadedWeights?
    /// Whether the process has loaded its model.
    private var wasReady = false
    private var addedRisks: [ResidualRisk] = []
    private var log: BackendLog
    private var shown: (state: State, detail: String, pid: Int32) = (.stopped, "", 0)
    /// When it was last given work, and the callers whose computed state it may still have.
    var lastUsed = Monotonic.now()
    private var scopes: RecentScopes
    var keepAlive = KeepAlive()
    private var turnEndIsDue = false
    /// The loss of its last process is explained.
    private var isBlameless = false
    private var availabilityChanged = false
    /// Since when it does nothing, because its process is about to pass to another agent; nil: it is not.
    private var stillSince: Monotonic?
    /// What is to be done once it goes on.
    private var held: [@IOLoop () -> Void] = []
    private var heldLaunch: Result<StartedBackend, StartFailure>?
    private var isPassed = false
    /// The number by which the process is known that could be passed on at any moment; 0: it cannot, or nobody wants it.
    private var passingKey: UInt64 = 0
    private var endWaiters: [@IOLoop () -> Void] = []
    private var stillWaiters: [@IOLoop () -> Void] = []

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

// Its state.
extension ManagedBackend {
    package var state: State {
        let isHeld = lifecycle.isAlive || lifecycle.phase == .held
        return lifecycle.pause != nil && isHeld ? .paused : stateBeneath
    }

    /// Its state, whether or not it is paused.
    var stateBeneath: State {
        if isUntrusted { return .untrusted }
        // A resting backend shows the state that a request would find.
        guard case .resting = lifecycle.phase, let weights = files?.weights else { return lifecycle.state }
        if weights.refusal != nil { return .failed }
        if case .refused = inspectedFile { return .failed }
        return weights.areThere ? .unloaded : .waiting
    }

    /// What its owner should know about the state; empty when all is well.
    package var detail: String {
        [isUntrusted ? "" : lifecycle.stateDetail, obstacle, weights?.notice ?? "", notice].filter { !$0.isEmpty }
            .joined(separator: "; ")
    }

    /// Whether nothing of it runs, and nothing is started before its owner trusts it.
    private var isUntrusted: Bool { files?.distrust != nil && !lifecycle.isAlive }

    /// Why a request could not load its model; empty where it could.
    private var obstacle: String {
        guard case .resting = lifecycle.phase, let weights = files?.weights else { return "" }
        if let refusal = weights.refusal { return refusal }
        if case .refused(let sentence) = inspectedFile { return sentence }
        return definition.wait(for: weights) ?? ""
    }

    /// The adapters that requests may choose.
    package var adapters: [ModelAdapter] { definition.model.adapters }

    /// What holds where a request says nothing, as the bytes of a `hearth.v1.Sampling`, which the backend has made a part of.
    package var samplingDefaults: [UInt8] { ownSamplingDefaults + definition.model.sampling.encoded }

    nonisolated var key: BackendCatalog.Key { BackendCatalog.Key(name: name, model: model) }
    nonisolated var id: BackendCatalog.Process { BackendCatalog.Process(backend: key, number: number) }

    /// The most processes for the model.
    package var replicas: Int { definition.replicas }
    /// Its number, where the owner wants several processes for the model; nil where there is one.
    package var replica: Int? { definition.replicas > 1 ? number : nil }

    /// The launcher's process; 0 when none runs.
    package var pid: Int32 { process?.pid ?? 0 }
    /// The tier that holds its processes.
    package var tier: String { setting.configuration.tier.rawValue }
    /// The layers that hold its processes, by name.
    package var layers: [String] { setting.configuration.host.layers(of: setting.configuration.tier).names }
    /// The risks that remain in this sandbox.
    package var residualRisks: [ResidualRisk] { setting.residualRisks + addedRisks }
    /// The seccomp policy's name.
    package var policyName: String { launched.manifest.policy }
    /// Times it was started again after it was lost.
    package var restarts: UInt32 { lifecycle.restarts }
    package var runningSequences: UInt32 { UInt32(clamping: connection?.runningSequences ?? 0) }
    /// Sequences and embeddings.
    package var runningRequests: UInt32 {
        UInt32(clamping: (connection?.runningSequences ?? 0) + (connection?.runningEmbeddings ?? 0))
    }
    /// Whether its process stands still.
    package var isFrozen: Bool { lifecycle.isAlive && lifecycle.pause?.isFrozen == true }
    /// Its last output, as lines fit for a terminal; bounded by the limits `log…`.
    package var recentLog: [String] { log.lines }

    /// The kept lines of its output with numbers above `number`; all of them where `log` is not its log
    /// (`BackendOutput.log`).
    package func output(after number: UInt64, ofLog log: UInt64) -> BackendOutput {
        self.log.output(after: number, of: log)
    }
}

// Requests of consumers.
extension ManagedBackend {
    /// Begins a sequence with a serialized `hearth.v1.GenerateRequest`, passed on as it is. Nil when the backend is not
    /// ready or has no free sequence; `Supervisor.onAvailable` tells when to try again. Computed state is shared within
    /// `cacheScope` only (`Start.cacheScope`). `continuation`: what an earlier process has computed of it. `bounds` nil: they are read out of the request. `keepAliveSeconds`: how
    /// long a model that is loaded on demand is kept after this request; nil: for its usual time.
    package func begin(
        request: [UInt8], bounds: SequenceBounds? = nil, credit: UInt32, cacheScope: [UInt8] = [],
        continuation: Continuation? = nil, keepAliveSeconds: UInt32? = nil, handler: any SequenceHandler
    ) -> RunningSequence? {
        guard lifecycle.takesRequests, let connection else { return nil }
        // Fields that stand twice are merged, and the later ones win: the consumer's (protobuf, "Last One Wins").
        let defaults = launched.model.sampling.encodedRequest
        let sequence = connection.begin(
            request: defaults.isEmpty ? request : defaults + request, bounds: bounds, credit: credit,
            cacheScope: cacheScope, continuation: continuation, handler: handler)
        if sequence != nil {
            wasUsed(keepAliveSeconds: keepAliveSeconds)
            // Only where there is a choice does it matter who was served.
            if definition.replicas > 1 { scopes.served(cacheScope, at: lastUsed) }
        }
        return sequence
    }

    /// Since when its process can be used, on the clock of `Monotonic.awake`; nil: it cannot be.
    package var readySince: Monotonic? {
        if case .ready(let watchdog) = lifecycle.phase { watchdog.readySince } else { nil }
    }

    /// What a completion that began on its process can go on with, on this or another process.
    package var identity: Identity {
        Identity(
            definition: launched, version: version, modelDigest: modelDigest,
            canContinue: connection?.canContinue ?? false, setting: setting)
    }

    /// A request that ran alone on its process has ended it, and would end every other one: what follows is no backend's
    /// fault.
    /// `trace`: what its line of the log says of the request's trace.
    package func blame(theRequest reason: String, trace: Logger.Metadata = [:]) {
        isBlameless = true
        logger.warning(
            "a request is refused that has ended several processes",
            metadata: trace.merging(["reason": "\(reason)"]) { $1 })
        askForTurnEnd()
    }

    /// Begins an embedding with a serialized `hearth.v1.EmbedRequest` or `RerankRequest`, passed on as it is. Nil when the
    /// backend is not ready or has no room; `Supervisor.onAvailable` tells when to try again. Calls back once.
    package func embed(
        _ task: Embed.Task, request: [UInt8], keepAliveSeconds: UInt32?,
        completion: @escaping @IOLoop (Result<Embedded, SequenceLoss>) -> Void
    ) -> RunningEmbedding? {
        guard freeEmbeddings > 0 else { return nil }
        let running = connection?.embed(task, request: request, completion: completion)
        if running != nil { wasUsed(keepAliveSeconds: keepAliveSeconds) }
        return running
    }

    /// How many embeddings could begin on it now.
    var freeEmbeddings: Int {
        guard lifecycle.takesRequests else { return 0 }
        return connection?.freeEmbeddings ?? 0
    }

    /// The shorter lengths that vectors can be cut to.
    package var shorterDimensions: [UInt32] { launched.model.embeddingDimensions }

    /// How many sequences could begin on it now.
    var freeSequences: Int {
        guard lifecycle.takesRequests else { return 0 }
        return connection?.freeSequences ?? 0
    }

    /// When this process last began a sequence of this cache scope; nil: never, or too long ago.
    func lastServed(_ cacheScope: [UInt8]) -> Monotonic? { scopes[cacheScope] }

    /// Asks about the prompt of a serialized `hearth.v1.GenerateRequest`. Calls back once, perhaps before it returns; with
    /// a fault when the backend cannot answer, is not ready, has too many open questions, or takes too long.
    package func ask(
        _ question: PromptQuestion, request: [UInt8],
        completion: @escaping @IOLoop (Result<PromptAnswer, UnansweredQuestion>) -> Void
    ) {
        guard case .ready = lifecycle.phase, let connection else {
            return completion(
                .failure(.refused(Fault(.overloaded, "the model \(model) is \(state.rawValue); try again later"))))
        }
        wasUsed(keepAliveSeconds: nil)
        // If nothing runs on it, its keep-alive time begins anew.
        askForTurnEnd()
        connection.ask(question, request: request, completion: completion)
    }
}

// Requests of the supervisor.
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
        let next: BackendLifecycle.Afterwards = isOnDemand ? .rest : .start
        let isUnloaded = setting.hold.pause == .unloaded
        apply { $0.pause(endingFor: isUnloaded ? next : nil, at: $1) }
    }

    func goOn() { apply { $0.goOn(at: $1) } }

    /// Ends its process once nothing runs on it, or at once, and has it started anew; tries one that failed again.
    func restart(isNow: Bool) {
        let next: BackendLifecycle.Afterwards = isOnDemand ? .rest : .start
        apply { $0.restart(then: next, isIdle: self.isIdle, isNow: isNow, at: $1) }
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
            let next: BackendLifecycle.Afterwards = isOnDemand ? .rest : .start
            apply { $0.drain(then: next, isIdle: self.isIdle, why: "its owner has changed it", at: $1) }
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

// The lifecycle's driver.
extension ManagedBackend {
    /// Passes an event to the lifecycle, and does what it asks for.
    func apply(_ event: @escaping @IOLoop (inout BackendLifecycle, Monotonic) -> [BackendLifecycle.Action]) {
        if stillSince != nil { return held.append { [weak self] in self?.apply(event) } }
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

    private func launchEnded(_ result: Result<StartedBackend, StartFailure>) {
        if stillSince != nil {
            heldLaunch = result
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

    private func watched(
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

    private func watched(_ weights: ModelWeights) -> LoadedWeights {
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
        log.note("(the process \(exit.words))", at: Self.clock)
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
            deniedCalls: denied.ofProcess.map { SyscallNames.name(of: $0) ?? "system call \($0)" },
            lines: log.linesOfProcess, weights: weights?.path)
    }

    /// Goes on without the process: its end, whenever it comes, means nothing any more.
    private func letGo() {
        log.note("(the process does not end; nobody waits for it any more)", at: Self.clock)
        forgetProcess()
        connection = nil
    }

    private func forgetProcess() {
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

// Passing its process on to another agent.
extension ManagedBackend {
    /// Does nothing until `goOnAlone` or `passOn`.
    func standStill() {
        guard stillSince == nil else { return }
        stillSince = .awake()
        isPassed = false
        deadline?.cancel()
        deadline = nil
        connection?.standStill()
        process?.standStill()
    }

    /// What another agent needs to go on with its process, while it stands still; nil: it has none that has loaded its
    /// model.
    func passed() throws -> PassedBackend? {
        guard case .ready(let watchdog) = lifecycle.phase, let process, process.isRunning,
            let conversation = connection?.passed
        else { return nil }
        let message = message(of: process, conversation, readySince: watchdog.readySince)
        let passed = try PassedBackend(message, process.handles, weights?.weights)
        isPassed = true
        return passed
    }

    /// Tells what another agent would need after a crash of this one.
    /// - Parameter isReading: whether a message of its process is being heard.
    private func tellPassable(isReading: Bool = false) {
        guard let passable = setting.passable, case .ready(let watchdog) = lifecycle.phase, let process, let connection,
            let conversation = connection.passable
        else { return }
        do {
            let framing = try connection.share(isReading: isReading)
            let message = message(of: process, conversation, readySince: watchdog.readySince)
            let passed = try PassedBackend(message, process.handles, weights?.weights, framing)
            if passingKey == 0 {
                setting.lastPassingKey += 1
                passingKey = setting.lastPassingKey
            }
            passable(passingKey, passed)
        } catch {
            logger.warning("would not survive a crash of the agent", metadata: ["reason": "\(error)"])
        }
    }

    private func message(
        of process: BackendProcess, _ conversation: PassedConversation, readySince: Monotonic
    ) -> Hearth_Handover_V1_Backend {
        // The newer facts of what runs, which the next look of another agent finds.
        let definition = launched.isSame(as: definition) ? definition : launched
        var message = Hearth_Handover_V1_Backend()
        message.version = PassedProcess.revision
        message.name = name
        message.model = model
        message.number = UInt32(number)
        message.processID = pid
        message.controlGroup = process.handles.group?.path ?? ""
        message.definition =
            PassedDefinition(
                definition, memoryMebibytes: memoryMebibytesAtLaunch, weights: weights?.weights, setting: setting
            ).message
        message.conversation = conversation.message
        message.keeper.isRunning = process.keeper.phase == .running
        message.keeper.isFrozen = process.keeper.isFrozen
        message.keeper.unanswered = process.keeper.unanswered.map { UInt32($0.rawValue) }
        message.isDraining = lifecycle.drain != nil
        message.restarts = restarts
        message.lossesInARow = UInt32(clamping: lifecycle.lossesInARow)
        message.readySinceNanoseconds = readySince.nanoseconds
        message.lastUsedNanoseconds = lastUsed.nanoseconds
        if isOnDemand, isIdle { message.keepMilliseconds = millisecondsToUnload ?? .max }
        message.log = log.lines(after: 0, of: log.identity).map { line in
            var message = Hearth_Handover_V1_Line()
            message.processID = line.pid
            message.milliseconds = line.milliseconds
            message.text = line.text
            return message
        }
        return message
    }

    /// The other agent did not come up.
    func goOnAlone() {
        guard let nanoseconds = goOnAtAll() else { return }
        apply { life, _ in life.stoodStill(nanoseconds: nanoseconds) }
        connection?.goOnAlone()
        process?.goOnAlone()
        takeHeldLaunch()
        let held = held
        self.held = []
        for event in held { event() }
        askForTurnEnd()
    }

    /// The other agent has its process, where that was passed, and starts its own where not.
    func passOn() {
        guard goOnAtAll() != nil else { return }
        held = []
        guard isPassed else {
            connection?.goOnAlone()
            process?.goOnAlone()
            apply { $0.passOn(isPassed: false, at: $1) }
            return takeHeldLaunch()
        }
        let process = process
        apply { $0.passOn(isPassed: true, at: $1) }
        forgetProcess()
        connection = nil
        process?.abandon()
        logger.info("passed on", metadata: ["pid": "\(process?.pid ?? 0)"])
    }

    /// Returns for how many nanoseconds it has stood still; nil: it does not.
    private func goOnAtAll() -> UInt64? {
        defer { stillSince = nil }
        return stillSince.map { Monotonic.awake().since($0) }
    }

    private func takeHeldLaunch() {
        guard let result = heldLaunch else { return }
        heldLaunch = nil
        launchEnded(result)
    }

    /// Goes on with a process that another agent has passed on, if this one would run it just the same; otherwise ends it,
    /// and is started, or not, by the next look at the folder.
    /// - Parameter files: those that it needs, as the look has found them.
    func goOn(with passed: PassedProcess, files: BackendFiles?) {
        let obstacle =
            passed.obstacle ?? passed.definition.difference(from: definition, setting: setting)
            ?? files?.distrust.map { "its owner has to trust it: \($0)" }
        passingKey = passed.key
        do {
            process = try watched(passed.handles, keeper: passed.keeper)
            launched = definition
            log.takeOver(passed.log, of: pid)
            if let obstacle { throw SupervisorError(obstacle) }
            try goOnTalking(passed)
        } catch {
            let reason = printable("\(error)")
            logger.notice("not gone on with", metadata: ["pid": "\(passed.handles.processID)", "reason": "\(reason)"])
            connection?.close()
            connection = nil
            if process == nil {
                forgetProcess()
                return passed.handles.end()
            }
            return apply { $0.ends(because: "was ended, to start anew: \(reason)", at: $1) }
        }
        filesAtLaunch = files
        memoryMebibytesAtLaunch = passed.definition.memoryMebibytes
        modelDigest = weights?.weights.digest ?? []
        addedRisks =
            definition.policy.map { ResidualRisk.added(by: $0.policy, devices: definition.manifest.devices) } ?? []
        wasReady = true
        lastUsed = passed.lastUsed
        if let milliseconds = passed.keepMilliseconds {
            let seconds = milliseconds == .max ? nil : UInt32(clamping: milliseconds / 1_000 + 1)
            keepAlive.used(askedSeconds: seconds)
        }
        let standing = passed.standing
        apply { $0.goesOn(with: standing, at: $1) }
        tellPassable()
        logger.info("gone on with", metadata: ["pid": "\(pid)", "version": "\(version)"])
    }

    private func goOnTalking(_ passed: PassedProcess) throws {
        let conversation = try passed.conversation()
        let configuration = setting.configuration
        let files = passed.weights(of: definition.model)
        guard conversation.load == definition.load(files, owner: configuration.owner, limits: configuration.limits)
        else { throw SupervisorError("it was asked to load its model otherwise") }
        let connection = try BackendConnection(
            passed.handles, goingOnWith: conversation, limits: configuration.limits, owner: self)
        self.connection = connection
        weights = files.map(watched)
        if let hello = connection.hello { note(hello) }
        if let loaded = connection.loaded { note(loaded) }
    }
}

// Messages of the process.
extension ManagedBackend: BackendConnectionOwner {
    private func note(_ hello: Hello) {
        version = printable("\(hello.name)/\(hello.version)")
        capabilities =
            [Hello.generate] + hello.capabilities.filter { !Hello.ofAgent.contains($0) }.map { printable($0) }
        matchesStops = hello.capabilities.contains(Hello.stopStrings)
    }

    func heard(_ hello: Hello) {
        note(hello)
        guard let revision = BackendConversation.commonRevision(hello) else { return reject(hello) }
        if let lack = launched.lack(of: hello.capabilities, weights?.weights) { return reject(lack) }
        let limits = setting.configuration.limits
        connection?.welcome(
            Welcome(
                revision: revision, maxFrameBytes: UInt32(clamping: limits.backendFrameBytesMax),
                pingIntervalMilliseconds: UInt32(clamping: limits.pingIntervalMilliseconds)),
            launched.load(weights?.weights, owner: setting.configuration.owner, limits: limits))
        let (milliseconds, overflow) = launched.manifest.loadSeconds.multipliedReportingOverflow(by: 1_000)
        apply { $0.greeted(loadMilliseconds: overflow ? .max : milliseconds, at: $1) }
    }

    private func reject(_ hello: Hello) {
        let ours = ContractLimits.revisions
        reject(
            "speaks revisions \(hello.minRevision) to \(hello.maxRevision) of the backend contract, this host"
                + " \(ours.lowerBound) to \(ours.upperBound); use a build of it for this host"
                + ContractClause.commonRevision.mark)
    }

    private func reject(_ reason: String) {
        connection?.reject(Reject(reason: reason))
        refuse(reason)
    }

    /// Ends it, because its owner has to change something.
    private func refuse(_ reason: String) {
        apply { $0.gaveUp(reason, forOwner: true, at: $1) }
    }

    func heard(_ progress: LoadProgress) { apply { $0.loadProgressed(progress.fraction, at: $1) } }

    private func note(_ loaded: Loaded) {
        maxContextTokens = loaded.maxContextTokens
        maxSequences = loaded.maxSequences
        ownSamplingDefaults = loaded.samplingDefaults
        embeddingDimensions = loaded.embeddingDimensions
        capabilities.removeAll(where: loaded.lacking.contains)
    }

    func heard(_ loaded: Loaded) {
        note(loaded)
        if let longest = shorterDimensions.last, longest >= max(1, loaded.embeddingDimensions) {
            return refuse(
                "makes vectors of \(loaded.embeddingDimensions) numbers, none of which can be cut to \(longest); correct"
                    + " \"embedding\" in the model's settings")
        }
        wasReady = true
        apply { $0.loaded(at: $1) }
        tellPassable(isReading: true)
        logger.info("ready", metadata: ["version": "\(version)", "sequences": "\(maxSequences)"])
    }

    // It was not asked to inspect.
    func heard(_ inspected: Inspected) {}

    func heard(_ pong: Pong) {
        steps = pong.steps
        guard let connection else { return }
        // A backend that delivers makes progress, whatever it counts as a step.
        let progress = pong.steps &+ connection.tokensReceived
        apply { $0.answered(progress: progress, isBusy: connection.isBusy, at: $1) }
    }

    func gaveUp(_ fault: Fault) {
        let reason = "gave up: \(printable(fault.message))"
        logger.warning("gave up", metadata: ["reason": "\(printable(fault.message))"])
        apply { $0.gaveUp(reason, forOwner: fault.code == .badModel, at: $1) }
    }

    func broke(_ violation: ContractViolation) {
        let sentence = printable(violation.description)
        logger.warning("broke the backend contract", metadata: ["reason": "\(sentence)"])
        apply { $0.broke("broke the contract: \(sentence)", at: $1) }
    }

    func connectionEnded() { apply { $0.closed(at: $1) } }

    func settled() { apply { life, _ in life.settled() } }

    func roomFreed() {
        availabilityChanged = true
        askForTurnEnd()
    }
}

// Telling of changes, once a turn.
extension ManagedBackend: TurnEndHandler {
    private func noteChange() {
        if (state, detail, pid) != shown { askForTurnEnd() }
    }

    private func askForTurnEnd() {
        if turnEndIsDue { return }
        turnEndIsDue = true
        IOLoop.atTurnEnd(self)
    }

    package func turnEnded() {
        turnEndIsDue = false
        if stillSince != nil { return }
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
