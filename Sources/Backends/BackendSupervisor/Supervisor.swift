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
    package internal(set) var models: [String: ServedModel] = [:]
    /// The processes of all backends, ordered by name, model and number; of the backends that offer the same model only
    /// one runs.
    package internal(set) var backends: [ManagedBackend] = []
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
    var catalog = BackendCatalog()
    /// The lent model files, and how many lend each.
    var lent: [String: Int] = [:]
    var memoryWaiters = MemoryWaiters()
    var inspections = Inspections()
    /// The budget for all models, and when it was read.
    var lastBudget: (budget: MemoryBudget, readAt: Monotonic)?
    /// Backends that were removed from the folder and have not ended yet.
    var leaving: [ManagedBackend] = []
    var rescanTimer: Timer?
    /// Processes that another agent has passed on and that no backend has taken yet.
    var inherited: [BackendCatalog.Process: PassedProcess] = [:]
    /// Whether the processes are about to pass to another agent.
    var standsStill = false
    var sleepWatch = SleepWatch()
    private var lastLook: Task<Void, Never>?
    /// Why the folder could not be looked at last time; empty when it could.
    private var lastFailure = ""
    var isStopping = false

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

    func stopStarting() {
        isStopping = true
        rescanTimer?.cancel()
        rescanTimer = nil
    }

    var limits: SupervisorConfiguration.Limits { setting.configuration.limits }

    /// How long models are kept from their next idle time on, and the memory for those that are loaded from now on; nil: as where
    /// nothing is said.
    package func set(keepAliveSeconds: UInt32?, memoryBudgetBytes: UInt64?) {
        setting.configuration.keepAliveSeconds = keepAliveSeconds ?? SupervisorConfiguration.usualKeepAliveSeconds
        guard setting.configuration.memoryBudgetBytes != memoryBudgetBytes else { return }
        setting.configuration.memoryBudgetBytes = memoryBudgetBytes
        lastBudget = nil
        // What waits for memory may have it now.
        for model in memoryWaiters.takeAll() { onAvailable?(model) }
    }
}
