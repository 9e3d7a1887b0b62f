internal import AdminService
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import HTTP2Connection
internal import HTTPProtocols
internal import InferenceMessages
internal import Installation
internal import LinuxSystem
internal import Logging
internal import SandboxLaunch
internal import SandboxPolicy
internal import Settings
internal import TLSSession

// The process that serves HTTP.
extension HostAgent {
    /// The bridge has one connection, on which all its clients come, each with its own key: what bounds a client by
    /// connection is the bridge's to bound.
    static func limitsOfBridge(_ consumers: Limits) -> Limits {
        var limits = consumers
        limits.http2.idleMilliseconds = 0
        limits.http2.ageMilliseconds = 0
        limits.http2.resetsAtOnceMax = .max
        limits.http2.resetsPerSecondMax = .max
        limits.http2.lateResetsPerSecondMax = .max
        return limits
    }

    func bindBridge(succeeding: Predecessor?) throws(HostError) {
        bridge = try makeBridge(
            configuration, try Self.bridgeSettings(configuration, security),
            inherited: inherited(.http, of: try configuration.httpAddress(), from: succeeding),
            elder: inherited(.responses, of: try configuration.httpAddress(), from: succeeding)?.take { socket, _ in
                socket
            })
        listHTTP()
    }

    /// What a bridge is told; it reads the files of TLS.
    nonisolated static func bridgeSettings(
        _ configuration: HostConfiguration, _ security: ListenerSecurity
    ) throws(HostError) -> BridgeSettings {
        guard let address = try configuration.httpAddress() else { return BridgeSettings() }
        var settings = BridgeSettings(
            requiresKey: configuration.requiresKeyOverHTTP(on: address), names: configuration.httpNames,
            origins: configuration.httpOrigins)
        if let files = security.http {
            do throws(TLSError) {
                settings.tls = try BridgeSettings.TLS.read(files, security.clientSubjects).0
            } catch {
                throw HostError("http \(address): TLS cannot be served: \(error)")
            }
        }
        try checkSize(settings)
        return settings
    }

    nonisolated static func checkSize(_ settings: BridgeSettings) throws(HostError) {
        guard settings.json.count <= BridgeSettings.bytesMax else {
            throw HostError("http-name and http-origin have too many bytes together: name fewer")
        }
    }

    /// Binds its address, unless its socket is `inherited`; nil where no HTTP is served.
    func makeBridge(
        _ configuration: HostConfiguration, _ settings: BridgeSettings, inherited: consuming BoundSocket?,
        elder: consuming Descriptor?
    ) throws(HostError) -> HTTPBridge? {
        guard let address = try configuration.httpAddress() else { return nil }
        let setup = HTTPBridge.Setup(
            program: try InstalledParts.program("hearth-bridge", executable: executable),
            sandbox: Sandbox(
                launcherPath: layout.launcher, policiesDirectory: layout.policies,
                tier: try HostAgent.sandboxTier(configuration), host: sandboxHost),
            settings: settings)
        do throws(LinuxError) {
            return try HTTPBridge(
                setup, on: address, inherited: inherited, elder: elder, server: bridged,
                gate: access.gate(requiresKey: settings.requiresKey, ownersService: AdminService.serviceName),
                logger: logger)
        } catch {
            throw HostError("\(error); choose another address with --http, or end what holds this one")
        }
    }

    /// Lists the address of the bridge behind the others.
    func listHTTP() {
        listeners.removeAll { $0.gate == nil }
        guard let bridge else { return }
        let scheme = bridge.settings.tls == nil ? "http" : "https"
        listeners.append(Listener(address: bridge.address, security: scheme, requiresKey: false, gate: nil))
    }

    /// Lets those who come by the bridge have their answers, whose ends may leave it after they have left this process.
    func endBridge(_ graceMilliseconds: UInt64, _ drain: @IOLoop (Server) async -> Void) async {
        for bridge in retiredBridges { bridge.stop() }
        guard let bridge else { return }
        bridge.retire()
        let end = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        await drain(bridged)
        await bridge.end(graceMilliseconds: end.since(.now()) / 1_000_000)
    }

    /// Lets those who come by the bridge have their answers, as the bridge of another agent accepts the next ones.
    func leaveBridge(_ graceMilliseconds: UInt64) async {
        for bridge in retiredBridges { bridge.stop() }
        let end = Monotonic.now().advanced(milliseconds: graceMilliseconds)
        await bridge?.end(graceMilliseconds: graceMilliseconds)
        await bridged.handOver(graceMilliseconds: end.since(.now()) / 1_000_000)
    }
}
