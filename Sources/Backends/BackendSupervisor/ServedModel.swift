package import EventLoop

/// What consumers ask for: a model, by its id. What runs for it is a `ManagedBackend`, the one that serves it of all that offer
/// it.
@IOLoop
package struct ServedModel {
    /// What a consumer can expect.
    package enum State: Sendable {
        case ready
        /// It will be ready without anybody's doing.
        case loading
        /// The next request loads it.
        case unloaded
        /// It will not be until its owner does something.
        case unavailable
    }

    nonisolated package let id: String
    /// Whose process serves it, in whatever state that is.
    package let backend: ManagedBackend
    let offers: ModelOffers

    /// Nil where no backend offers it.
    /// - Parameter all: those that do, ordered by name.
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
