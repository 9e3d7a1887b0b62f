package import EventLoop
internal import LinuxSystem
package import Logging
internal import SandboxLaunch
package import SandboxPolicy

/// Finds and runs the backends of a folder and follows its changes: a new backend is started, a removed one stopped, a
/// changed one started anew.
///
/// Owned by the agent; the I/O loop's own.
@IOLoop
package final class Supervisor {
    /// Called when a backend's state, detail or process changed; at most once a turn for each.
    package var onChange: (@IOLoop (ManagedBackend) -> Void)? {
        get { setting.changed }
        set { setting.changed = newValue }
    }

    /// Called when a model has room for a sequence again, or its backend changed its state or is another one: a request
    /// that waits for the model may begin, or wait in vain.
    package var onAvailable: (@IOLoop (String) -> Void)?

    /// Called when the owner's hold has changed: after computing has stopped, and before requests begin again.
    package var onHold: (@IOLoop () -> Void)?

    /// Called with the seconds for which the machine has slept, within a second of its waking.
    package var onSleep: (@IOLoop (UInt64) -> Void)?

    /// Called with what another agent would need after a crash of this one, for each process as soon as it has loaded its
    /// model, and again when that has changed; with a number that is the process's own. Set it before `start`.
    package var onPassable: (@IOLoop (UInt64, PassedBackend) -> Void)? {
        get { setting.passable }
        set { setting.passable = newValue }
    }

    /// Called when such a process has ended, or another agent has it.
    package var onGone: (@IOLoop (UInt64) -> Void)? {
        get { setting.gone }
        set { setting.gone = newValue }
    }

    /// What the owner has asked of the whole agent.
    package var hold: OwnerHold { setting.hold }

    /// The models that consumers can ask for, by id.
    package private(set) var models: [String: ServedModel] = [:]
    /// The processes of all backends, ordered by name, model and number; of the backends that offer the same model only
    /// one runs.
    package private(set) var backends: [ManagedBackend] = []
    /// Files of the folder that are not run, and why; ordered by name.
    package var ignored: [IgnoredFile] { catalog.ignored }
    /// Files of the folders of models that are not served, and why.
    package var unserved: [UnservedFile] { catalog.unserved }

    /// The risks that remain with every backend in the tier that its owner asked for, on this machine.
    package var residualRisks: [ResidualRisk] { setting.residualRisks }

    /// The folder of the policies.
    package var policies: PolicyFolder { PolicyFolder(setting.configuration.policiesDirectory) }

    let setting: BackendSetting
    let logger: Logger
    private var catalog = BackendCatalog()
    /// The lent model files, and how many lend each.
    private var lent: [String: Int] = [:]
    /// Models that wait until they were inspected, or until others have freed memory.
    private var awaitingMemory: Set<String> = []
    /// Those of them that others are to make room for, because no process of them is there to serve.
    private var shortOfMemory: Set<String> = []
    private var inspections = Inspections()
    /// The budget for all models, and when it was read.
    private var lastBudget: (budget: MemoryBudget, readAt: Monotonic)?
    /// Backends that were removed from the folder and have not ended yet.
    private(set) var leaving: [ManagedBackend] = []
    private var rescanTimer: Timer?
    /// Processes that another agent has passed on and that no backend has taken yet.
    private var inherited: [BackendCatalog.Process: PassedProcess] = [:]
    /// Whether the processes are about to pass to another agent.
    private var standsStill = false
    private var sleepWatch = SleepWatch()
    private var lastLook: Task<Void, Never>?
    /// Why the folder could not be looked at last time; empty when it could.
    private var lastFailure = ""
    private var isStopping = false

    /// Every backend is started in the sandbox; there is no other way.
    package convenience init(configuration: SupervisorConfiguration, logger: Logger) {
        self.init(
            configuration: configuration, logger: logger,
            starter: SandboxedStarter(configuration: configuration))
    }

    init(configuration: SupervisorConfiguration, logger: Logger, starter: any BackendStarter) {
        self.logger = logger
        setting = BackendSetting(configuration: configuration, logger: logger, starter: starter)
        setting.available = { [weak self] in self?.becameAvailable($0) }
    }

    /// Looks at the folder and starts what is there. Throws, with the remedy, when the folder cannot be used. Blocks for
    /// a look at the folder; the backends come up afterwards.
    package func start() throws { try start(goingOnWith: []) }

    /// The same, with processes that another agent has passed on: those that this one would run just the same are gone on
    /// with, the others are ended before their successors are started. Throws before it has touched any of them.
    package func start(goingOnWith passed: [PassedBackend]) throws {
        let found = try firstLook()
        take(passed)
        adopt(found)
        for process in inherited.values { end(process, because: "nothing here is to run it") }
        inherited = [:]
        scheduleRescan()
    }

    /// The ids of the models that `start` would find. Throws and blocks as it does.
    package func modelsFound() throws -> Set<String> { Set(try firstLook().definitions.map(\.model.id)) }

    private func firstLook() throws -> BackendCatalog {
        // Files that were there before the agent are taken as they are: an owner who fills the folder and then starts
        // the agent expects the models to be there. A file that is still being written is started anew once it is
        // whole.
        var limits = limits
        limits.settledMilliseconds = 0
        var reader = reader(limits)
        reader.isThorough = false
        return try reader.read(before: catalog)
    }

    /// Looks at the folder now, and returns once all backends were told what it found.
    package func rescan() async {
        // One look at a time: one that began earlier must not be taken for what is there now.
        let earlier = lastLook
        let look = Task {
            await earlier?.value
            await self.look()
        }
        lastLook = look
        await look.value
    }

    private func look() async {
        guard !isStopping, !standsStill else { return }
        var reader = reader(limits)
        for backend in backends { reader.held[backend.id] = backend.weights?.weights }
        reader.lentModels = lent.keys.sorted()
        let (look, before) = (reader, catalog)
        let result = await DetachedThread.result { try look.read(before: before) }
        guard !isStopping, !standsStill else { return }
        do {
            adopt(try result.get())
            lastFailure = ""
        } catch {
            // Running backends go on: an unreadable folder is no wish to stop them.
            if lastFailure != "\(error)" {
                logger.warning("cannot look for backends", metadata: ["reason": "\(error)"])
            }
            lastFailure = "\(error)"
        }
    }

    private func reader(_ limits: SupervisorConfiguration.Limits) -> CatalogReader {
        let configuration = setting.configuration
        return CatalogReader(
            path: configuration.backendsDirectory, modelFolders: configuration.modelsDirectories,
            policiesDirectory: configuration.policiesDirectory, owner: configuration.owner, limits: limits,
            digests: setting.digests, hostSettings: configuration.hostSettings, pins: configuration.pins)
    }

    /// Ends every backend, each within the grace, and returns when no process is left. Nothing starts afterwards.
    package func stop(graceMilliseconds: UInt64) async {
        goOnAlone()
        stopStarting()
        for backend in backends + leaving { backend.stop(graceMilliseconds: graceMilliseconds, why: "the host stops") }
        for backend in backends + leaving {
            await withCheckedContinuation { continuation in backend.whenEnded { continuation.resume() } }
        }
    }

    private func stopStarting() {
        isStopping = true
        rescanTimer?.cancel()
        rescanTimer = nil
    }

    private var limits: SupervisorConfiguration.Limits { setting.configuration.limits }

    /// How long models are kept from their next idle time on, and the memory for those that are loaded from now on; nil: as where
    /// nothing is said.
    package func set(keepAliveSeconds: UInt32?, memoryBudgetBytes: UInt64?) {
        setting.configuration.keepAliveSeconds = keepAliveSeconds ?? SupervisorConfiguration.usualKeepAliveSeconds
        guard setting.configuration.memoryBudgetBytes != memoryBudgetBytes else { return }
        setting.configuration.memoryBudgetBytes = memoryBudgetBytes
        lastBudget = nil
        // What waits for memory may have it now.
        let waiting = awaitingMemory
        awaitingMemory = []
        shortOfMemory = []
        for model in waiting.sorted() { onAvailable?(model) }
    }
}

// Processes of backends that pass from one agent to another.
extension Supervisor {
    /// Reads and writes nothing of any backend from now on, starts, ends and restarts none, and fires no watchdog, until
    /// `goOnAlone` or `letGo`. Returns what another agent needs for each process that has loaded its model. Requests that
    /// begin meanwhile wait. Not to be called out of a callback of a backend, which is in the middle of a message.
    package func standStill() throws -> [PassedBackend] {
        guard !isStopping, !standsStill else {
            throw SupervisorError(
                "the processes of backends are about to end, or to pass to another agent", isTransient: true)
        }
        standsStill = true
        for backend in backends + leaving { backend.standStill() }
        do {
            return try backends.compactMap { try $0.passed() }
        } catch {
            goOnAlone()
            throw error
        }
    }

    /// The other agent did not come up: everything goes on as though nothing had happened.
    package func goOnAlone() {
        guard standsStill else { return }
        standsStill = false
        for backend in backends + leaving { backend.goOnAlone() }
        inspectNext()
    }

    /// The other agent has the processes: what runs on them is lost here, without failure; processes that were not passed
    /// are ended, and nothing is started any more. Nothing that was passed is ended, neither now nor with this object.
    package func letGo() {
        guard standsStill else { return }
        standsStill = false
        stopStarting()
        for end in Array(setting.inspections.values) { end() }
        for backend in backends + leaving { backend.passOn() }
    }

    private func take(_ passed: [PassedBackend]) {
        for backend in passed {
            guard let process = PassedProcess(backend) else {
                logger.error("a process was passed on without its descriptors")
                if let key = backend.heldAs { onGone?(key) }
                continue
            }
            setting.lastPassingKey = max(setting.lastPassingKey, process.key)
            if inherited[process.id] == nil {
                inherited[process.id] = process
            } else {
                end(process, because: "it was passed on twice")
            }
        }
    }

    /// Has a backend go on with its process, if one was passed on.
    private func inherit(_ backend: ManagedBackend) {
        guard let process = inherited.removeValue(forKey: backend.id) else { return }
        backend.goOn(with: process, files: catalog.files[backend.key])
        guard !backend.isReadyOrSettling else { return }
        backend.whenEnded { [weak self, weak backend] in
            guard let self, let backend, backends.contains(where: { $0 === backend }) else { return }
            tell(backend, backend.definition)
        }
    }

    private func end(_ process: PassedProcess, because reason: String) {
        logger.notice(
            "not gone on with",
            metadata: [
                "backend": "\(process.id.backend.name)", "pid": "\(process.handles.processID)", "reason": "\(reason)",
            ])
        process.handles.end()
        if process.key != 0 { onGone?(process.key) }
    }
}

// The owner's hand on all backends.
extension Supervisor {
    package func take(_ request: OwnerHold.Request) {
        let action = setting.hold.take(request)
        switch action {
        case .pause:
            for end in Array(setting.inspections.values) { end() }
            for backend in backends + leaving { backend.pause() }
        case .goOn: for backend in backends + leaving { backend.goOn() }
        case nil: break
        }
        onHold?()
        guard action == .goOn else { return }
        inspectNext()
        for model in models.keys.sorted() { onAvailable?(model) }
    }

    /// Returns once nothing of any backend computes, or the pause is over.
    package func whenStill() async {
        for backend in backends + leaving {
            await withCheckedContinuation { continuation in backend.whenStill { continuation.resume() } }
        }
    }

    /// Ends the processes of the backend of this name, once nothing runs on them or at once, and has them started anew.
    /// Returns their number; nil: no backend has that name.
    package func restart(_ name: String, isNow: Bool) -> Int? {
        let named = backends.filter { $0.name == name }
        guard !named.isEmpty else { return nil }
        let processes = named.count { $0.pid != 0 }
        for backend in named { backend.restart(isNow: isNow) }
        return processes
    }

    /// Ends the processes of a model that is loaded on demand, once nothing runs on them or at once; its next request loads
    /// it again. Returns their number; nil: it stays in memory.
    package func unload(_ model: ServedModel, isNow: Bool) -> Int? {
        guard model.isOnDemand else { return nil }
        let processes = model.processes.filter { $0.pid != 0 }
        for process in processes { process.restart(isNow: isNow) }
        return processes.count
    }
}

// The owner's trust in backends.
extension Supervisor {
    /// Whether a backend that has changed waits for its owner.
    package var arePinned: Bool { setting.configuration.pins != nil }

    /// The backends that lie there otherwise than their owner has accepted them, by name, with what has changed; empty
    /// where that cannot be told.
    package var untrusted: [String: [BackendPins.Change]] {
        catalog.entries.compactMapValues { $0.refusal?.changes }
    }

    /// Accepts what now lies there under the name, and returns what had changed; nil: no backend has that name. Throws
    /// where nothing is pinned, or where the pins cannot be read or kept.
    package func trust(_ name: String) async throws(SupervisorError) -> [BackendPins.Change]? {
        guard let pins = setting.configuration.pins else {
            throw SupervisorError("backends are not pinned here (pin-backends is off), so every change of one runs")
        }
        // A file that was put there a moment ago takes a few looks.
        let until = Monotonic.now().advanced(milliseconds: limits.settledMilliseconds &* 3)
        await rescan()
        while catalog.isSettling, Monotonic.now() < until {
            await withCheckedContinuation { continuation in
                IOLoop.schedule(afterMilliseconds: limits.settledMilliseconds) { continuation.resume() }
            }
            await rescan()
        }
        guard let entry = catalog.entries[name] else { return nil }
        guard let refusal = entry.refusal else { return [] }
        let kept = await DetachedThread.result { try pins.trust(name, refusal.found) }
        do {
            try kept.get()
        } catch {
            throw error as? SupervisorError ?? SupervisorError("\(error)")
        }
        await rescan()
        return refusal.changes
    }
}

// Keeping to the folder.
extension Supervisor {
    private func scheduleRescan() {
        guard limits.rescanMilliseconds > 0 else { return }
        let wait =
            catalog.isSettling
            ? min(limits.settledMilliseconds, limits.rescanMilliseconds) : limits.rescanMilliseconds
        rescanTimer = IOLoop.schedule(afterMilliseconds: wait) { [weak self] in
            self?.lookForSleep()
            Task {
                await self?.rescan()
                if self?.isStopping == false { self?.scheduleRescan() }
            }
        }
    }

    private func lookForSleep() {
        guard let slept = sleepWatch.look() else { return }
        let seconds = slept / 1_000_000_000
        logger.notice("the machine has slept for \(seconds) s; deadlines have gone on, and no backend is blamed for it")
        for backend in backends + leaving { backend.slept(nanoseconds: slept) }
        onSleep?(seconds)
    }

    private func adopt(_ catalog: BackendCatalog) {
        if catalog.isUnchanged {
            self.catalog = catalog
            return followAgain()
        }
        for file in catalog.ignored where !self.catalog.ignored.contains(file) {
            logger.info("not a backend: \(file.name) is \(file.reason)")
        }
        for (name, entry) in catalog.entries {
            guard !entry.notice.isEmpty, self.catalog.entries[name]?.notice != entry.notice else { continue }
            logger.warning("not in force", metadata: ["backend": "\(name)", "reason": "\(entry.notice)"])
        }
        for (name, entry) in catalog.entries {
            guard let refusal = entry.refusal, self.catalog.entries[name]?.refusal != refusal else { continue }
            logger.warning("not trusted", metadata: ["backend": "\(name)", "reason": "\(refusal.words)"])
        }
        for file in catalog.unserved where !self.catalog.unserved.contains(file) {
            logger.info("not served: \(file.path) is \(file.reason)")
        }
        for (name, policy) in catalog.policies {
            guard !policy.notice.isEmpty, self.catalog.policies[name]?.notice != policy.notice else { continue }
            logger.warning("not in force", metadata: ["policy": "\(name)", "reason": "\(policy.notice)"])
        }
        self.catalog = catalog
        removeMissing()
        let known = Dictionary(uniqueKeysWithValues: backends.map { ($0.id, $0) })
        let offered = catalog.definitions.flatMap { definition in
            (1...definition.replicas).map { (definition, backend(for: definition, number: $0, known)) }
        }
        backends = offered.map(\.1).sorted { ($0.name, $0.model, $0.number) < ($1.name, $1.model, $1.number) }
        let before = models
        models = [:]
        for (id, all) in Dictionary(grouping: backends, by: \.model) {
            // Whose process is there serves the model.
            let server = all.first { inherited[$0.id] != nil }?.name
            models[id] = ServedModel(id, offeredBy: all, before: before[id], server: server)
        }
        for (_, backend) in offered { inherit(backend) }
        lookAtModels(offered)
        for (definition, backend) in offered { tell(backend, definition) }
        // A request must not wait for a model that is gone, nor for a backend that does not serve it any more.
        for model in Set(before.keys).union(models.keys) { onAvailable?(model) }
    }

    /// Follows an unchanged folder: of the backends whose process rests there may be thousands, and nothing is to be done
    /// for them.
    private func followAgain() {
        let awake = backends.filter { !$0.isResting }
        for model in Set(awake.map(\.model)) {
            models[model] = ServedModel(
                model, offeredBy: backends.filter { $0.model == model }, before: models[model])
        }
        for backend in awake { tell(backend, backend.definition) }
        for backend in awake { onAvailable?(backend.model) }
    }

    /// Ends a backend that was removed from the folder soon, because its owner wants it gone; one whose model is no
    /// longer named or served, or is to have fewer processes, when nothing runs on it any more.
    private func removeMissing() {
        var replicas: [BackendCatalog.Key: Int] = [:]
        for definition in catalog.definitions { replicas[definition.key] = definition.replicas }
        let missing = backends.filter { $0.number > replicas[$0.key] ?? 0 }
        backends.removeAll { backend in missing.contains { $0 === backend } }
        for backend in missing {
            leaving.append(backend)
            if catalog.entries[backend.name] != nil {
                backend.drainAndStop(
                    why: replicas[backend.key] != nil
                        ? "its model is to have fewer processes"
                        : backend.isOfModelFolder
                            ? "its file is no longer served out of the folder of models"
                            : "its manifest does not name it any more")
            } else {
                backend.stop(
                    graceMilliseconds: limits.replaceGraceMilliseconds, why: "it was removed from the folder")
            }
            backend.whenEnded { [weak self] in self?.leaving.removeAll { $0 === backend } }
        }
    }

    private func tell(_ backend: ManagedBackend, _ definition: BackendDefinition) {
        guard let files = catalog.files[backend.key] else { return }
        let notices = [
            catalog.entries[backend.name]?.notice, catalog.entries[backend.name]?.refusal?.words,
            catalog.policies[definition.manifest.policy]?.notice,
            catalog.notices[backend.key],
        ]
        backend.follow(
            definition, rival: models[backend.model]?.offers.rival(of: backend.name), files: files,
            held: catalog.held[backend.id] ?? [],
            notice: notices.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; "))
    }

    /// The process that a definition is for, even one that was to end; a new one where there is none.
    private func backend(
        for definition: BackendDefinition, number: Int, _ known: [BackendCatalog.Process: ManagedBackend]
    ) -> ManagedBackend {
        let id = BackendCatalog.Process(backend: definition.key, number: number)
        if let backend = known[id] { return backend }
        guard let index = leaving.lastIndex(where: { $0.id == id }) else {
            return ManagedBackend(definition, number: number, setting: setting)
        }
        return leaving.remove(at: index)
    }
}

// Lending.
extension Supervisor {
    /// Serves a model file, at an absolute path, until `endLending`; returns its id. Throws why it cannot be served.
    package func lend(_ path: String) async throws(SupervisorError) -> String {
        guard hold.isEmpty else { throw SupervisorError("the agent is \(hold.words); end that with 'hearth resume'") }
        let path = ModelParts.firstPath(ofModelAt: path)
        lent[path, default: 0] += 1
        // A file that was copied a moment ago takes a few looks.
        let until = Monotonic.now().advanced(milliseconds: limits.weightsSettledMilliseconds &* 3)
        repeat {
            await rescan()
            let served = catalog.definitions.first { $0.model.file == nil && $0.weights.place?.path == path }
            if let id = served?.model.id, let backend = models[id]?.backend, backend.state != .waiting,
                !inspections.isAwaited(backend.key)
            {
                if backend.state != .failed, backend.state != .untrusted { return id }
                endLending(path)
                throw SupervisorError(backend.detail)
            }
            if let backend = served.flatMap({ models[$0.model.id]?.backend }) { inspections.hurry(backend.key) }
            if served == nil, !catalog.isSettling { break }
            await withCheckedContinuation { continuation in
                IOLoop.schedule(afterMilliseconds: limits.settledMilliseconds) { continuation.resume() }
            }
        } while Monotonic.now() < until
        let reason = catalog.unserved.first { $0.path == path }?.reason ?? "no file that can be read"
        endLending(path)
        throw SupervisorError("\(path) is \(reason)")
    }

    /// Where a backend's model comes from.
    package enum Origin: Equatable, Sendable {
        /// A file of a folder of models, or the first of its parts.
        case folder(path: String)
        case lent
        case manifest
    }

    package func origin(of backend: ManagedBackend) -> Origin {
        guard backend.isOfModelFolder, let path = backend.weightsPath else { return .manifest }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) }
        return setting.configuration.modelsDirectories.contains { $0 == folder } ? .folder(path: path) : .lent
    }

    package func endLending(_ path: String) {
        let path = ModelParts.firstPath(ofModelAt: path)
        guard let count = lent[path] else { return }
        lent[path] = count > 1 ? count - 1 : nil
        Task { await self.rescan() }
    }
}

// Inspections.
extension Supervisor {
    /// Has the models inspected that are loaded on demand: what a load takes is known before it begins.
    private func lookAtModels(_ offered: [(BackendDefinition, ManagedBackend)]) {
        var subjects: [BackendCatalog.Key: Inspections.Subject] = [:]
        for (definition, backend) in offered where backend.isOnDemand {
            guard let looks = catalog.files[backend.key]?.weights, !looks.isEmpty, looks.areThere,
                looks.refusal == nil, catalog.files[backend.key]?.distrust == nil
            else { continue }
            subjects[backend.key] = Inspections.Subject(definition: definition, weights: looks.compactMap(\.facts))
        }
        inspections.look(subjects)
        for (_, backend) in offered { tellInspected(backend) }
        inspectNext()
    }

    private func tellInspected(_ backend: ManagedBackend) {
        let file = inspections[backend.key]
        if backend.inspectedFile != file { backend.inspectedFile = file }
    }

    /// What the backend of a model tells of its file.
    package func inspect(_ backend: ManagedBackend) async -> InspectedFile {
        guard hold.pause == nil || backend.inspectedFile != nil else { return .untold("the agent is \(hold.words)") }
        return await backend.inspect(memoryMebibytes: memoryMebibytes(beside: backend.weightsBytes))
    }

    /// The most memory that loading a model may take beside its weights, where its settings do not say.
    private func memoryMebibytes(beside weightsBytes: UInt64) -> UInt64 {
        let budget = memoryBudget().bytes
        let room = budget > weightsBytes ? (budget - weightsBytes) >> 20 : 0
        return max(room, setting.configuration.owner.defaultMemoryMebibytes)
    }

    private func inspectNext() {
        guard !isStopping, !standsStill, hold.pause == nil, let (key, subject) = inspections.next() else { return }
        let room = memoryMebibytes(beside: subject.weights.reduce(0) { $0 &+ $1.byteCount })
        Task {
            let file = await ModelInspection.run(subject.definition, memoryMebibytes: room, setting: setting)
            if file == ModelInspection.endedByPause {
                inspections.postponed(key, subject)
                return inspectNext()
            }
            if case .untold(let why) = file {
                logger.info("not inspected", metadata: ["model": "\(key.model)", "reason": "\(why)"])
            }
            inspections.ended(key, subject, file)
            for backend in backends where backend.key == key { tellInspected(backend) }
            becameAvailable(key.model)
            inspectNext()
        }
    }
}

// Memory.
extension Supervisor {
    /// What a request for a model that is not loaded can expect.
    package enum Loading: Equatable, Sendable {
        /// It is being loaded, or will be once others have freed memory.
        case coming
        /// There is not so much memory for models; a sentence with the numbers.
        case refused(String)
    }

    /// Loads a process of a model for a request that waits, unless one is coming already or cannot be loaded. For the
    /// first process of a model the least recently used ones are unloaded; another one, beside one that serves, gets
    /// memory that is free. Called again for each model that waits for memory whenever some may have become free.
    package func load(_ model: String) -> Loading {
        shortOfMemory.remove(model)
        guard let served = models[model], let backend = served.next, !isStopping, hold.pause == nil else {
            return .coming
        }
        guard backend.isLookedAt, !inspections.isAwaited(backend.key) else {
            inspections.hurry(backend.key)
            awaitingMemory.insert(model)
            return .coming
        }
        let holders = (backends + leaving).filter { $0 !== backend }.compactMap(\.memoryHolder)
        let decision = memoryBudget().decide(needs: backend.memoryMaxBytes, holders)
        guard served.state == .unloaded else {
            if decision == .load, shortOfMemory.isEmpty { backend.demand() } else { awaitingMemory.insert(model) }
            return .coming
        }
        switch decision {
        case .load: backend.demand()
        case .wait: awaitMemory(model)
        case .unload(let processes):
            awaitMemory(model)
            for holder in backends where processes.contains(holder.id) {
                logger.info(
                    "unloaded to make room",
                    metadata: ["model": "\(holder.model)", "for": "\(model)"])
                holder.unload()
            }
        case .refuse(let sentence): return .refused(sentence)
        }
        return .coming
    }

    private func awaitMemory(_ model: String) {
        awaitingMemory.insert(model)
        shortOfMemory.insert(model)
    }

    /// The process that a request for this model begins on; nil: none has a free sequence. While another model waits for
    /// memory without a process that serves it, only one process of a model that is loaded on demand takes new requests:
    /// the others become idle, and can be unloaded.
    package func process(for model: ServedModel, cacheScope: () -> [UInt8]) -> ManagedBackend? {
        model.process(for: cacheScope, isYielding: model.isOnDemand && !shortOfMemory.isEmpty)
    }

    /// The process that an embedding by this model begins on; nil: none has room.
    package func processForEmbedding(_ model: ServedModel) -> ManagedBackend? {
        model.processForEmbedding(isYielding: model.isOnDemand && !shortOfMemory.isEmpty)
    }

    /// The budget for all models, read from the kernel at most every `memoryReadMilliseconds`: reading it for each
    /// request would let strangers make the loop read files. Memory that a model frees or takes moves between what is
    /// available and what models hold, so their sum stays right meanwhile.
    private func memoryBudget() -> MemoryBudget {
        let now = Monotonic.now()
        if let last = lastBudget, now.since(last.readAt) < limits.memoryReadMilliseconds &* 1_000_000 {
            return last.budget
        }
        let budget = MemoryBudget(
            host: setting.configuration.hostMemory(), ownersBytes: setting.configuration.memoryBudgetBytes,
            heldBytes: (backends + leaving).reduce(0) { $0 &+ $1.anonymousBytes })
        lastBudget = (budget, now)
        return budget
    }

    private func becameAvailable(_ model: String) {
        // Whoever waits for memory goes first, because what was freed may be taken by this model's next request.
        let (short, waiting) = (shortOfMemory, awaitingMemory)
        shortOfMemory = []
        awaitingMemory = []
        for other in short where other != model { onAvailable?(other) }
        for other in waiting.subtracting(short) where other != model { onAvailable?(other) }
        onAvailable?(model)
    }
}
