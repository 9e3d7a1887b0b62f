package import EventLoop

/// A model that consumers can ask for, by its id, and the `ManagedBackend` that serves it, one of all that offer it.
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
    /// The backend that serves it, in any state.
    package let backend: ManagedBackend
    let offers: ModelOffers

    /// Nil where no backend offers it.
    /// - Parameter all: the backends that offer it, ordered by name.
    init?(_ id: String, offeredBy all: [ManagedBackend], before: ServedModel?) {
        let offers = ModelOffers(
            all.map(\.name), before: before?.offers, serverHasFailed: before?.backend.state == .failed)
        guard let offers, let backend = all.first(where: { $0.name == offers.server }) else { return nil }
        self.id = id
        self.backend = backend
        self.offers = offers
    }

    package var state: State {
        switch backend.state {
        case .ready: .ready
        case .starting, .loading, .draining, .backingOff: .loading
        case .unloaded: .unloaded
        case .waiting where backend.weightsAreComing: .loading
        case .waiting, .stopped, .failed: .unavailable
        }
    }
}
