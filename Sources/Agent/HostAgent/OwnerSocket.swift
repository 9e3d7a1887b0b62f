package import LinuxSystem
package import Settings

/// The address at which the owner's command line finds the agent.
package enum OwnerSocket {
    /// The Unix socket in a state folder; only its owner can open it.
    package static func address(state: String?, environment: [String: String]) throws(HostError) -> SocketAddress {
        let folder = try StateFolder.asked(state, environment: environment)
        do throws(SocketAddressError) {
            return try SocketAddress("unix:\(folder)/admin.sock")
        } catch {
            throw HostError(
                "--state \(folder): the path is too long for a Unix socket (107 bytes); choose a shorter one")
        }
    }
}
