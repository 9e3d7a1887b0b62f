internal import BackendIPC
internal import LinuxSystem
internal import SandboxPolicy

// The memory of its process, and when it is in memory.
extension ManagedBackend {
    /// Whether its model is in memory only while it is asked for.
    var isOnDemand: Bool { if case .onDemand = definition.model.residence { true } else { false } }

    /// Whether no process runs, and the next request starts one.
    var isResting: Bool { lifecycle.standing == .resting && !lifecycle.isAlive }

    /// Whether its process has loaded its model, or is loading it, and is to go on.
    var isReadyOrLoading: Bool { lifecycle.inherited(at: .awake()) != nil }

    /// Whether its model lies in a folder of models, where no manifest names it.
    var isOfModelFolder: Bool { definition.model.file == nil && definition.weights != .none }

    /// The memory that its processes use beside files, in bytes; 0 when none runs. Reads `/proc`.
    package var anonymousBytes: UInt64 { HostMemory.anonymousBytes(ofProcess: pid) }

    /// Whether its weights are there and still being written; it waits for nothing else.
    var weightsAreComing: Bool { files?.weights.areComing == true }

    /// Whether a look has found the size of its weights.
    var isLookedAt: Bool { files?.isComplete == true }

    /// The most memory that its process may take, in bytes: its weights, and its allowance beside them.
    package var memoryMaxBytes: UInt64 {
        let beside = LaunchPlanner.memoryBytes(
            (lifecycle.isAlive ? launchedInFull : sized(definition, memoryMebibytes)).manifest,
            setting.configuration.owner)
        return beside.addingReportingOverflow(weightsBytes).overflow ? .max : beside + weightsBytes
    }

    /// The memory that its inspection asks for, with some room for what no inspection sees.
    var memoryMebibytes: UInt64? {
        guard case .inspected(let inspected) = inspectedFile else { return nil }
        return inspected.memoryBytes >> 20 &+ inspected.memoryBytes >> 25 &+ 64
    }

    private func sized(_ definition: BackendDefinition, _ memoryMebibytes: UInt64?) -> BackendDefinition {
        memoryMebibytes.map { definition.with(memoryMebibytes: $0) } ?? definition
    }

    /// The definition that runs, with the memory that it was launched with.
    var launchedInFull: BackendDefinition { sized(launched, memoryMebibytesAtLaunch) }

    /// The size of its weights in bytes; 0 where there are none.
    package var weightsBytes: UInt64 { weights?.weights.byteCount ?? files?.weights.byteCount ?? 0 }

    /// The path of its weights, or of their first part; nil where it has none, or where they may not lie.
    package var weightsPath: String? { definition.weights.place?.path }

    /// What its backend tells of its file, which is inspected now unless it was before.
    func inspect(memoryMebibytes: UInt64) async -> InspectedFile {
        if let inspectedFile { return inspectedFile }
        return await ModelInspection.run(definition, memoryMebibytes: memoryMebibytes, setting: setting)
    }

    /// Its memory as the budget counts it; nil when no process runs.
    var memoryHolder: MemoryBudget.Holder? {
        guard lifecycle.isAlive else { return nil }
        let isGoing = lifecycle.restsAfterwards || lifecycle.state == .stopped
        let hold: MemoryBudget.Hold =
            isGoing ? .going : !isOnDemand ? .forGood : lifecycle.state == .ready && isIdle ? .idle : .working
        return MemoryBudget.Holder(process: id, bytes: memoryMaxBytes, hold: hold, lastUsed: lastUsed)
    }

    /// The loaded fraction of its model, from 0 to 1; nil while it does not load.
    package var loadFraction: Float? {
        switch lifecycle.phase {
        case .launching, .greeting: 0
        case .loading(let load): Float(load.percent) / 100
        default: nil
        }
    }

    /// Milliseconds until its model is unloaded if no request comes; nil: it is not unloaded by itself, or is not idle.
    package var millisecondsToUnload: UInt64? { lifecycle.restAt.map { $0.since(.awake()) / 1_000_000 } }

    /// Loads its model for a request; there is memory for it.
    func demand() {
        lastUsed = .now()
        apply { $0.demand(at: $1) }
    }

    /// Ends its process to free its memory; the next request starts it again.
    func unload() { apply { $0.unload(at: $1) } }

    func wasUsed(keepAliveSeconds: UInt32?) {
        lastUsed = .now()
        keepAlive.used(askedSeconds: keepAliveSeconds ?? usualKeepAliveSeconds)
        guard lifecycle.restAt != nil else { return }
        apply { life, _ in life.idle(until: nil) }
    }

    /// How long its model is kept where no request asks for more; nil: for ever.
    private var usualKeepAliveSeconds: UInt32? {
        guard case .onDemand(let seconds) = definition.model.residence else { return nil }
        return seconds ?? setting.configuration.keepAliveSeconds
    }

    /// Begins its keep-alive time once nothing runs on it.
    func watchIdleness() {
        guard isOnDemand, lifecycle.state == .ready, isIdle, lifecycle.restAt == nil else { return }
        let until = keepAlive.becameIdle(usualSeconds: usualKeepAliveSeconds, at: .awake())
        guard let until else { return }
        apply { life, _ in life.idle(until: until) }
    }
}
