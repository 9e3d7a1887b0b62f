internal import LaunchPlan
internal import LinuxSystem

/// The launcher's end of the socket to the agent (`GivenDescriptor.keeper`). Every process of the launcher has it; only the
/// one that waits for the backend reads it.
enum AgentSocket {
    static let raw = GivenDescriptor.keeper
    /// What it is ready for once the agent is gone.
    static let lost: Readiness = [.hangUp, .error]

    /// Waits until the agent has room for it. One that is gone hears nothing, which whoever waits for the backend notices.
    static func say(_ report: KeeperReport) { _ = try? Socket.sendDatagram(raw, report.encoded(), waits: true) }

    /// Whether the agent had room for it.
    static func offer(_ report: KeeperReport) -> Bool {
        (try? Socket.sendDatagram(raw, report.encoded(), waits: false)) == true
    }

    /// A datagram of the agent's; nil when there is none.
    static func hear() throws(LinuxError) -> [UInt8]? {
        switch try Socket.receiveDatagram(raw, max: KeeperReport.byteCountMax) {
        case .received(let bytes): bytes
        case .ended: []
        case .nothing: nil
        }
    }
}
