internal import GRPC
internal import HTTP2Connection
internal import LimitDeclaration
internal import LinuxSystem

/// Who may have how many of the agent's descriptors: consumers must not be able to take those that backends and the owner
/// need. Pure, but for `claimed`.
struct DescriptorBudget: LimitGroup {
    /// For backends, their launches and their output, files, and the owner: a quarter, within these bounds.
    static let reserveMin = 96
    static let reserveMax = 1_024

    @Limit("Files and sockets of the agent; its share of RLIMIT_NOFILE.")
    private(set) var descriptorsMax = 0
    @Limit("Files and sockets that only backends, files and the owner may have.")
    private(set) var descriptorsReserved = 0
    @Limit("Connections on the owner's socket.")
    private(set) var ownerConnectionsMax = 32

    /// `descriptors`: what the process may have open.
    init(descriptors: Int) {
        descriptorsMax = descriptors
        descriptorsReserved = min(max(descriptors / 4, Self.reserveMin), Self.reserveMax)
    }

    /// Raises the process's limit as far as consumers could need it and the machine allows.
    static func claimed() -> DescriptorBudget {
        let wanted = Limits().connectionsMax + Limits().http2.closingConnectionsMax + reserveMax
        return DescriptorBudget(descriptors: Int(clamping: DescriptorLimit.raise(to: UInt64(wanted))))
    }

    /// For connections that are over, until their peers have read why.
    var closing: Int { min(Limits().http2.closingConnectionsMax, descriptorsMax / 16) }

    /// Limits as they are for consumers; a few may connect even where there is hardly any room.
    func consumers(_ limits: Limits) -> Limits {
        var limits = limits
        limits.http2.closingConnectionsMax = closing
        let left = descriptorsMax - descriptorsReserved - closing
        limits.connectionsMax = min(limits.connectionsMax, max(left, 8))
        return limits
    }

    var owner: Limits {
        var limits = Limits()
        limits.connectionsMax = ownerConnectionsMax
        return limits
    }
}
