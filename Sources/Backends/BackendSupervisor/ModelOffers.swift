/// The backends that offer one model. One of them serves it; the others are its rivals, and wait for as long as it
/// does. Pure.
struct ModelOffers: Equatable, Sendable {
    /// The name of the backend that serves it.
    let server: String

    /// The server keeps a model until it has failed, or does not offer it any more; then the first backend by name gets
    /// it.
    /// - Parameters:
    ///   - names: the backends that offer it, in order; with none of them the result is nil.
    ///   - before: the result of the look before.
    init?(_ names: [String], before: ModelOffers? = nil, serverHasFailed: Bool = false) {
        guard let first = names.first else { return nil }
        if let before, names.contains(before.server), !serverHasFailed {
            server = before.server
        } else {
            server = first
        }
    }

    /// The backend that this one, which offers the model, has to wait for; nil: this one serves it.
    func rival(of name: String) -> String? { name == server ? nil : server }
}
