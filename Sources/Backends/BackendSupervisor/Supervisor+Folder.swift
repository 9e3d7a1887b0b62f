internal import EventLoop
internal import LinuxSystem
internal import Logging
internal import SandboxPolicy

// Keeping to the folder.
extension Supervisor {
    func scheduleRescan() {
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

    func adopt(_ catalog: BackendCatalog) {
        if catalog.isUnchanged {
            self.catalog = catalog
            return followAgain()
        }
        for line in catalog.news(since: self.catalog) {
            logger.log(level: line.level, line.words, metadata: line.metadata)
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

    func tell(_ backend: ManagedBackend, _ definition: BackendDefinition) {
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
