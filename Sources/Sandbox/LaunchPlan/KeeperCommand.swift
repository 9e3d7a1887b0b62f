/// A command of the agent to a keeper. Each is one datagram of one byte, and is answered before the next is read.
package enum KeeperCommand: UInt8, Sendable {
    /// Freezes the backend until it is thawed or ends; answered by `KeeperReport.frozen`.
    case freeze = 1
    /// Lets the backend go on; answered by `KeeperReport.thawed`.
    case thaw = 2

    package func encoded() -> [UInt8] { [rawValue] }

    /// Reads one whole datagram; nil for anything that no agent sends.
    package init?(decoding bytes: [UInt8]) {
        guard bytes.count == 1 else { return nil }
        self.init(rawValue: bytes[0])
    }
}
