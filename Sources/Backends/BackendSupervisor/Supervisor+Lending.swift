internal import EventLoop
internal import LinuxSystem
internal import SandboxPolicy

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
