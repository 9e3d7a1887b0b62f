internal import GRPC
internal import HTTP2Connection
internal import LimitDeclaration
internal import LinuxSystem

/// Divides the agent's descriptors, so that consumers cannot take those that backends and the owner need. Pure, but for
/// `claimed`.
struct DescriptorBudget: LimitGroup {
    /// The descriptors for backends, their launches and their output, files, and the owner: a quarter, within these
    /// bounds.
    static let reserveMin = 96
    static let reserveMax = 4_096

    @Limit("Files and sockets of the agent; its share of RLIMIT_NOFILE.")
    private(set) var descriptorsMax = 0
    @Limit("Descriptors reserved for backends, files and the owner.")
    private(set) var descriptorsReserved = 0
    @Limit("Connections on the owner's socket.")
    private(set) var ownerConnectionsMax = 32

    /// `descriptors`: how many the process may have open.
    init(descriptors: Int) {
        descriptorsMax = descriptors
        descriptorsReserved = min(max(descriptors / 4, Self.reserveMin), Self.reserveMax)
    }

    /// Raises the process's limit as far as consumers could need it and the machine allows.
    static func claimed() -> DescriptorBudget {
        let wanted = Limits().connectionsMax + Limits().http2.closingConnectionsMax + reserveMax
        return DescriptorBudget(descriptors: Int(clamping: DescriptorLimit.raise(to: UInt64(wanted))))
    }

    /// Descriptors for connections that have ended, until their peers have read the reason.
    var closing: Int { min(Limits().http2.closingConnectionsMax, descriptorsMax / 16) }

    /// The limits for consumers within this budget; a few may connect even where there is hardly any room.
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
