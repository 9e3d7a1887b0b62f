internal import GRPCServices

/// What a host's health service says. Pure.
enum HealthReport {
    /// The host and the models that it lends, by the names that consumers ask for. The host takes calls whatever becomes of
    /// its models; the service that lends them serves once one of them does. `inference` is that service's name, which no
    /// model can take from it.
    static func health(inference: String, models: [(id: String, isReady: Bool)]) -> [String: HealthService.Health] {
        var health: [String: HealthService.Health] = [:]
        for model in models { health[model.id] = model.isReady ? .serving : .notServing }
        health[inference] = models.contains(where: \.isReady) ? .serving : .notServing
        health[""] = .serving
        return health
    }
}
