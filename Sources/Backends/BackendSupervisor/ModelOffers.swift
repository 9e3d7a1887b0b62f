/// The backends that offer one model. One of them serves it; the others are its rivals, and wait for as long as it does.
/// Pure: what a look at the folder found goes in.
struct ModelOffers: Equatable, Sendable {
    /// The name of the backend that serves it.
    let server: String

    /// Whoever serves a model keeps it until it has failed, or does not offer it any more; then the first by name gets it.
    /// - Parameters:
    ///   - names: of the backends that offer it, in order; nil comes of none.
    ///   - before: as of the look before this one.
    init?(_ names: [String], before: ModelOffers? = nil, serverHasFailed: Bool = false) {
        guard let first = names.first else { return nil }
        if let before, names.contains(before.server), !serverHasFailed {
            server = before.server
        } else {
            server = first
        }
    }

    /// For whom a backend that offers the model has to wait; nil: it serves it.
    func rival(of name: String) -> String? { name == server ? nil : server }
}
