internal import BackendIPC
internal import EventLoop
internal import InferenceMessages
internal import LaunchPlan
internal import LinuxSystem
internal import Logging
internal import SandboxLaunch
internal import SandboxPolicy
internal import TerminalText

// Passing its process on to another agent.
extension ManagedBackend {
    /// Does nothing until `goOnAlone` or `passOn`.
    func standStill() {
        guard standstill == nil else { return }
        standstill = Standstill(since: .awake())
        deadline?.cancel()
        deadline = nil
        connection?.standStill()
        process?.standStill()
    }

    /// What another agent needs to go on with its process, while it stands still; nil: it has none that has loaded its
    /// model or is loading it.
    func passed() throws -> PassedBackend? {
        let now = Monotonic.awake()
        guard let standing = lifecycle.inherited(at: now), let process, process.isRunning,
            let conversation = connection?.passed
        else { return nil }
        let message = message(of: process, conversation, standing, at: now)
        let passed = try PassedBackend(message, process.handles, weights?.weights)
        standstill?.isPassed = true
        return passed
    }

    /// Tells what another agent would need after a crash of this one.
    /// - Parameter isReading: whether a message of its process is being heard.
    func tellPassable(isReading: Bool = false) {
        let now = Monotonic.awake()
        guard let passable = setting.passable, let standing = lifecycle.inherited(at: now), standing.load == nil,
            let process, let connection, let conversation = connection.passable
        else { return }
        do {
            let framing = try connection.share(isReading: isReading)
            let message = message(of: process, conversation, standing, at: now)
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
        of process: BackendProcess, _ conversation: PassedConversation, _ standing: BackendLifecycle.Inherited,
        at now: Monotonic
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
        message.restarts = standing.restarts
        message.lossesInARow = UInt32(clamping: standing.lossesInARow)
        message.readySinceNanoseconds = standing.readySince.nanoseconds
        if let load = standing.load {
            message.loading.nanoseconds = now.since(load.since)
            message.loading.nanosecondsLeft = load.until.since(now)
            message.loading.percent = UInt32(clamping: load.percent)
            message.loading.messages = load.messages
        }
        message.lastUsedNanoseconds = lastUsed.nanoseconds
        if isOnDemand, isIdle, standing.load == nil { message.keepMilliseconds = millisecondsToUnload ?? .max }
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
        guard let standstill else { return }
        self.standstill = nil
        let nanoseconds = Monotonic.awake().since(standstill.since)
        apply { life, _ in life.stoodStill(nanoseconds: nanoseconds) }
        connection?.goOnAlone()
        process?.goOnAlone()
        if let launch = standstill.launch { launchEnded(launch) }
        for event in standstill.events { event() }
        askForTurnEnd()
    }

    /// The other agent has its process, where that was passed, and starts its own where not.
    func passOn() {
        guard let standstill else { return }
        self.standstill = nil
        let isPassed = standstill.isPassed
        if !isPassed {
            connection?.goOnAlone()
            process?.goOnAlone()
        }
        apply { $0.passOn(isPassed: isPassed, at: $1) }
        guard isPassed else {
            if let launch = standstill.launch { launchEnded(launch) }
            return
        }
        let process = process
        forgetProcess()
        connection = nil
        process?.abandon()
        logger.info("passed on", metadata: ["pid": "\(process?.pid ?? 0)"])
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
        wasReady = !passed.isLoading
        lastUsed = passed.lastUsed
        if let milliseconds = passed.keepMilliseconds {
            let seconds = milliseconds == .max ? nil : UInt32(clamping: milliseconds / 1_000 + 1)
            keepAlive.used(askedSeconds: seconds)
        }
        apply { $0.goesOn(with: passed.standing(at: $1), at: $1) }
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
        if let hello = connection.hello { facts.heard(hello) }
        if let loaded = connection.loaded { facts.heard(loaded) }
    }
}
