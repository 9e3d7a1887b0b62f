/// How each service of a server is now. Pure.
struct HealthTable {
    /// Absent: not known.
    private(set) var statuses: [String: HealthService.Health] = [:]

    /// Takes over a new state of all; the names whose health is another now, also those that came or went.
    mutating func update(_ new: [String: HealthService.Health]) -> Set<String> {
        let names = Set(statuses.keys).union(new.keys)
        let changed = names.filter { statuses[$0] != new[$0] }
        statuses = new
        return changed
    }

    /// From now on everything is not serving; the names for which that is new.
    mutating func stopServing() -> Set<String> { update(statuses.mapValues { _ in .notServing }) }
}
