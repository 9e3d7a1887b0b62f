internal import LaunchPlan
internal import LinuxSystem

/// The launcher's end of the socket to the agent (`GivenDescriptor.keeper`). Every process of the launcher has it; only the
/// one that waits for the backend reads it.
enum AgentSocket {
    static let raw = GivenDescriptor.keeper
    /// The readiness of the socket once the agent is gone.
    static let lost: Readiness = [.hangUp, .error]

    /// Sends a report; waits until the socket has room for it. If the agent is gone nothing is sent, and the keeper
    /// notices that.
    static func say(_ report: KeeperReport) { _ = try? Socket.sendDatagram(raw, report.encoded(), waits: true) }

    /// Sends a report without waiting; returns whether the socket had room for it.
    static func offer(_ report: KeeperReport) -> Bool {
        (try? Socket.sendDatagram(raw, report.encoded(), waits: false)) == true
    }

    /// A datagram of the agent; nil when none waits.
    static func hear() throws(LinuxError) -> [UInt8]? {
        switch try Socket.receiveDatagram(raw, max: KeeperReport.byteCountMax) {
        case .received(let bytes): bytes
        case .ended: []
        case .nothing: nil
        }
    }
}
