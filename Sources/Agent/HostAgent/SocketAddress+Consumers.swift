internal import LinuxSystem

extension SocketAddress {
    /// The address itself, or for a wildcard an address of this machine that others can connect to.
    var forConsumers: SocketAddress {
        guard case .internet("0.0.0.0", let port) = self else {
            guard case .internet("::", let port) = self else { return self }
            return .internet(host: NetworkInterfaces.reachableHost() ?? "::1", port: port)
        }
        return .internet(host: NetworkInterfaces.reachableHost() ?? "127.0.0.1", port: port)
    }
}
