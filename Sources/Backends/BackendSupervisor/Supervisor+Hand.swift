internal import EventLoop
internal import LinuxSystem

// What the owner asks of backends: holds, new starts, and trust.
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
