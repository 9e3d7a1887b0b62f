internal import GRPC
internal import HTTP2Connection
internal import LinuxSystem

/// Who may have how many of the agent's descriptors: consumers must not be able to take those that backends and the owner
/// need. Pure, but for `claimed`.
struct DescriptorBudget: Equatable {
    /// For backends, their launches and their output, files, and the owner: a quarter, within these bounds.
    static let reserveMin = 96
    static let reserveMax = 1_024
    /// Connections on the owner's socket.
    static let ownerConnectionsMax = 32

    /// What the process may have open.
    let descriptors: Int

    /// Raises the process's limit as far as consumers could need it and the machine allows.
    static func claimed() -> DescriptorBudget {
        let wanted = Limits().connectionsMax + Limits().http2.closingConnectionsMax + reserveMax
        return DescriptorBudget(descriptors: Int(clamping: DescriptorLimit.raise(to: UInt64(wanted))))
    }

    var reserve: Int { min(max(descriptors / 4, Self.reserveMin), Self.reserveMax) }

    /// For connections that are over, until their peers have read why.
    var closing: Int { min(Limits().http2.closingConnectionsMax, descriptors / 16) }

    /// Limits as they are for consumers; a few may connect even where there is hardly any room.
    func consumers(_ limits: Limits) -> Limits {
        var limits = limits
        limits.http2.closingConnectionsMax = closing
        let left = descriptors - reserve - closing
        limits.connectionsMax = min(limits.connectionsMax, max(left, 8))
        return limits
    }

    var owner: Limits {
        var limits = Limits()
        limits.connectionsMax = Self.ownerConnectionsMax
        return limits
    }

    var named: [NamedLimit] {
        [
            NamedLimit("descriptorsMax", descriptors, "Files and sockets of the agent; its share of RLIMIT_NOFILE."),
            NamedLimit("descriptorsReserved", reserve, "Of these, for backends, files and the owner."),
            NamedLimit("ownerConnectionsMax", Self.ownerConnectionsMax, "Connections on the owner's socket."),
        ]
    }
}
