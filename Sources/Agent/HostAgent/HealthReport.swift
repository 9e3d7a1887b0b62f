internal import GRPCServices

/// The answers of a host's health service. Pure.
enum HealthReport {
    /// The health of the host and of the models that it lends, by the names that consumers ask for. The host itself
    /// always serves; the service that lends the models serves when one of them does. `inference` is that service's
    /// name, which no model can take from it.
    static func health(inference: String, models: [(id: String, isReady: Bool)]) -> [String: HealthService.Health] {
        var health: [String: HealthService.Health] = [:]
        for model in models { health[model.id] = model.isReady ? .serving : .notServing }
        health[inference] = models.contains(where: \.isReady) ? .serving : .notServing
        health[""] = .serving
        return health
    }
}
