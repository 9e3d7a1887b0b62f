internal import LinuxSystem
internal import Logging
internal import SandboxPolicy

// Inspections, and the memory of models.
extension Supervisor {
    /// Has the models inspected that are loaded on demand: what a load takes is known before it begins.
    func lookAtModels(_ offered: [(BackendDefinition, ManagedBackend)]) {
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

    func inspectNext() {
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
        memoryWaiters.triesAgain(model)
        guard let served = models[model], let backend = served.next, !isStopping, hold.pause == nil else {
            return .coming
        }
        guard backend.isLookedAt, !inspections.isAwaited(backend.key) else {
            inspections.hurry(backend.key)
            memoryWaiters.wait(model)
            return .coming
        }
        let holders = (backends + leaving).filter { $0 !== backend }.compactMap(\.memoryHolder)
        let decision = memoryBudget().decide(needs: backend.memoryMaxBytes, holders)
        guard served.state == .unloaded else {
            if decision == .load, !memoryWaiters.areShort { backend.demand() } else { memoryWaiters.wait(model) }
            return .coming
        }
        switch decision {
        case .load: backend.demand()
        case .wait: memoryWaiters.wait(model, isShort: true)
        case .unload(let processes):
            memoryWaiters.wait(model, isShort: true)
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

    /// The process that a request for this model begins on; nil: none has a free sequence. While another model waits for
    /// memory without a process that serves it, only one process of a model that is loaded on demand takes new requests:
    /// the others become idle, and can be unloaded.
    package func process(for model: ServedModel, cacheScope: () -> [UInt8]) -> ManagedBackend? {
        model.process(for: cacheScope, isYielding: model.isOnDemand && memoryWaiters.areShort)
    }

    /// The process that an embedding by this model begins on; nil: none has room.
    package func processForEmbedding(_ model: ServedModel) -> ManagedBackend? {
        model.processForEmbedding(isYielding: model.isOnDemand && memoryWaiters.areShort)
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

    func becameAvailable(_ model: String) {
        // Whoever waits for memory goes first, because what was freed may be taken by this model's next request.
        for other in memoryWaiters.takeAll() where other != model { onAvailable?(other) }
        onAvailable?(model)
    }
}
