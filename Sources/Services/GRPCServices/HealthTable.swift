/// The current health of each service of a server. Pure.
struct HealthTable {
    /// Absent: not known.
    private(set) var statuses: [String: HealthService.Health] = [:]

    /// Replaces the health of all services; returns the names whose health has changed, also those that came or went.
    mutating func update(_ new: [String: HealthService.Health]) -> Set<String> {
        let names = Set(statuses.keys).union(new.keys)
        let changed = names.filter { statuses[$0] != new[$0] }
        statuses = new
        return changed
    }

    /// Makes everything NOT_SERVING; returns the names for which that is new.
    mutating func stopServing() -> Set<String> { update(statuses.mapValues { _ in .notServing }) }
}
