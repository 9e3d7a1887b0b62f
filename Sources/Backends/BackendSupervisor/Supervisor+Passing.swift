internal import Logging
internal import SandboxLaunch

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

    func take(_ passed: [PassedBackend]) {
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
    func inherit(_ backend: ManagedBackend) {
        guard let process = inherited.removeValue(forKey: backend.id) else { return }
        backend.goOn(with: process, files: catalog.files[backend.key])
        guard !backend.isReadyOrLoading else { return }
        backend.whenEnded { [weak self, weak backend] in
            guard let self, let backend, backends.contains(where: { $0 === backend }) else { return }
            tell(backend, backend.definition)
        }
    }

    func end(_ process: PassedProcess, because reason: String) {
        logger.notice(
            "not gone on with",
            metadata: [
                "backend": "\(process.id.backend.name)", "pid": "\(process.handles.processID)", "reason": "\(reason)",
            ])
        process.handles.end()
        if process.key != 0 { onGone?(process.key) }
    }
}
