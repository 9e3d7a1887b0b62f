internal import LinuxSystem

/// The cache scopes that a process served lately, with the time of each. Pure; bounded by `countMax`: at the bound the
/// one that was served the longest ago is forgotten.
struct RecentScopes: Equatable, Sendable {
    let countMax: Int
    private var times: [[UInt8]: Monotonic] = [:]

    init(countMax: Int) { self.countMax = countMax }

    mutating func served(_ scope: [UInt8], at now: Monotonic) {
        times[scope] = now
        guard times.count > countMax, let oldest = times.min(by: { $0.value < $1.value }) else { return }
        times[oldest.key] = nil
    }

    /// When a scope was served last; nil: not at all, or longer ago than `countMax` others.
    subscript(_ scope: [UInt8]) -> Monotonic? { times[scope] }
}
