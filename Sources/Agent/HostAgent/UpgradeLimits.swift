internal import LimitDeclaration

/// The limits of a new agent that takes this one's place.
struct UpgradeLimits: LimitGroup {
    @Limit("How long a new agent has to take over; it is ended then, and the agent that runs goes on.")
    var upgradeMilliseconds: UInt64 = 120_000
    @Limit("How long a new agent has to end that was told to; it is killed then.")
    var abandonedMilliseconds: UInt64 = 5_000

    static let inForce = UpgradeLimits()
}
