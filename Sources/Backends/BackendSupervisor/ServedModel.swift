package import EventLoop

/// A model that consumers can ask for, by its id, and the processes that serve it: those of one of the backends that
/// offer it. `Replicas` decides.
@IOLoop
package struct ServedModel {
    /// What a consumer can expect.
    package enum State: Sendable {
        case ready
        /// It will be ready by itself.
        case loading
        /// The next request loads it.
        case unloaded
        /// It will not be ready until its owner does something.
        case unavailable
    }

    nonisolated package let id: String
    /// By their numbers; at least one, each in any state.
    package let processes: [ManagedBackend]
    let offers: ModelOffers

    /// Nil where no backend offers it.
    /// - Parameters:
    ///   - all: the processes of the backends that offer it, ordered by name and number.
    ///   - server: the backend that has served it for another agent.
    init?(_ id: String, offeredBy all: [ManagedBackend], before: ServedModel?, server: String? = nil) {
        let offers = ModelOffers(
            all.map(\.name), before: before?.offers ?? server.flatMap { ModelOffers([$0]) },
            serverHasFailed: before?.processes.allSatisfy { $0.state == .failed } ?? false)
        guard let offers else { return nil }
        self.id = id
        processes = all.filter { $0.name == offers.server }
        self.offers = offers
    }

    /// Whether it is in memory only while it is asked for.
    package var isOnDemand: Bool { processes[0].isOnDemand }

    private var replicas: Replicas { Replicas(standings: processes.map(\.standing)) }

    package var state: State { replicas.state }

    /// The process that tells what the model is and can.
    package var backend: ManagedBackend { processes[replicas.representative] }

    /// Whether a request that waits may have one more process loaded, by `Supervisor.load`.
    package var mayLoad: Bool { replicas.next != nil }

    /// The process that is loaded for a request that waits; nil: none is.
    var next: ManagedBackend? { replicas.next.map { processes[$0] } }

    /// The process that an embedding begins on, the one with the most room; nil: none has any. While another model waits
    /// for memory (`isYielding`), only the first that is ready takes new ones.
    func processForEmbedding(isYielding: Bool) -> ManagedBackend? {
        let ready = processes.filter { $0.stateBeneath == .ready }
        let best = (isYielding ? Array(ready.prefix(1)) : ready).max { $0.freeEmbeddings < $1.freeEmbeddings }
        return best?.freeEmbeddings ?? 0 > 0 ? best : nil
    }

    /// The process that a request of this cache scope begins on; nil: none has a free sequence.
    func process(for cacheScope: () -> [UInt8], isYielding: Bool) -> ManagedBackend? {
        // Nothing is to be chosen, and the scope need not be known.
        if processes.count == 1 { return processes[0].freeSequences > 0 ? processes[0] : nil }
        let scope = cacheScope()
        return replicas.serving(isYielding: isYielding) { processes[$0].lastServed(scope) }.map { processes[$0] }
    }
}

extension ManagedBackend {
    /// What it contributes to its model.
    fileprivate var standing: Replicas.Standing {
        switch stateBeneath {
        case .ready where lifecycle.isSettling: .loading
        case .ready: .ready(free: freeSequences)
        case .backingOff where lifecycle.losesOften: .unavailable
        case .starting, .loading, .backingOff, .paused: .loading
        case .draining: .draining
        case .unloaded: .unloaded
        case .waiting where weightsAreComing: .loading
        case .waiting, .stopped, .failed, .untrusted: .unavailable
        }
    }
}
