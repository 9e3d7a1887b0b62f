internal import BackendSupervisor
internal import EventLoop
package import GRPC
internal import HTTPProtocols
internal import LinuxSystem
internal import Logging
package import Settings
internal import TLSSession

// Settings that change while the agent runs.
extension HostAgent {
    /// Open answers over HTTP go on for so long after its address has changed, or was taken away.
    private static let httpGraceMilliseconds: UInt64 = 10_000

    /// Reads the settings again, and the keys and certificates. Returns once what can change now is in force. Throws
    /// INVALID_ARGUMENT, with no setting changed, for settings that cannot be understood or served, and FAILED_PRECONDITION
    /// while the agent starts or ends.
    @discardableResult
    package func reload() async throws(Status) -> SettingsChange {
        certificates?.reload()
        await access.reloaded()
        // One at a time: what was read last must be what is in force.
        let earlier = lastReload
        let reload = Task { [self] in
            _ = await earlier?.value
            return await readAndApply()
        }
        lastReload = reload
        let result = await reload.value
        if case .failure(let status) = result { logger.error("the settings stay as they are: \(status.message)") }
        return try result.get()
    }

    private func readAndApply() async -> Result<SettingsChange, Status> {
        guard isServing else {
            return .failure(Status(.failedPrecondition, "the agent starts or ends; its settings are not read again"))
        }
        let source = source
        do {
            let new = try await Self.detached { () throws(HostError) in try source.read() }
            let change = try SettingsChange(from: configuration, to: new)
            try await apply(change)
            tell(change)
            return .success(change)
        } catch {
            return .failure(Status(.invalidArgument, "\(error)"))
        }
    }

    private func tell(_ change: SettingsChange) {
        if !change.applied.isEmpty {
            logger.notice("settings in force from now on: \(change.applied.map(\.rawValue).joined(separator: ", "))")
        }
        if !change.needsRestart.isEmpty {
            logger.warning(
                "settings that need a restart of the agent: \(change.needsRestart.map(\.rawValue).joined(separator: ", "))"
            )
        }
        if change.applied.isEmpty, change.needsRestart.isEmpty {
            logger.notice("settings read again: none has changed")
        }
    }

    /// What can fail comes first, and changes nothing before it has not failed.
    private func apply(_ change: SettingsChange) async throws(HostError) {
        let new = change.result
        try await changeHTTP(to: new)
        configuration = new
        needsRestart = change.needsRestart.map(\.rawValue)
        supervisor.set(keepAliveSeconds: new.keepAlive, memoryBudgetBytes: new.memory)
        let limits = limits.changed(by: new.connectionTimes)
        self.limits = limits
        consumers.limitNewConnections(limits.consumers)
        bridged.limitNewConnections(HostAgent.limitsOfBridge(limits.consumers))
        for index in listeners.indices { listeners[index].setRequiresKey(by: new) }
        if change.applied.contains(.requireKey) { access.warnIfNobodyCanCall(new, state: layout.state) }
    }

    /// Has HTTP served as these settings say. Throws with nothing changed.
    private func changeHTTP(to new: HostConfiguration) async throws(HostError) {
        let (address, before) = (try new.httpAddress(), try configuration.httpAddress())
        guard address != before else {
            guard let bridge else { return }
            var settings = bridge.settings
            settings.requiresKey = address.map(new.requiresKeyOverHTTP) ?? false
            (settings.names, settings.origins) = (new.httpNames, new.httpOrigins)
            try Self.checkSize(settings)
            bridge.replace(settings)
            return
        }
        if let address { try access.demandKey(forHTTP: address, state: layout.state) }
        let state = layout.state
        let (security, settings) = try await Self.detached { () throws(HostError) in
            let security = try ListenerSecurity(new, state: state)
            return (security, try Self.bridgeSettings(new, security))
        }
        guard isServing else { throw HostError("the agent ends") }
        // One that is just ending may still have the address.
        let inherited = try? retiredBridges.first { $0.asked == address }?.share()
        let fresh = try makeBridge(new, settings, inherited: inherited, elder: bridge?.shareResponses())
        do throws(LinuxError) {
            try fresh?.start()
        } catch {
            throw HostError("\(error); choose another address for http, or end what holds this one")
        }
        if let bridge { retire(bridge) }
        bridge = fresh
        self.security = security
        if let fingerprint = security.fingerprint, fingerprint != certificateFingerprint {
            certificateFingerprint = fingerprint
            logger.notice("certificate SHA-256 \(fingerprint)")
        }
        listHTTP()
        watchCertificates()
        logger.notice("HTTP is served on \(fresh.map { $0.address.description } ?? "no address any more")")
    }

    /// Takes no new requests on it, and ends it with its last answer or after the grace.
    private func retire(_ bridge: HTTPBridge) {
        retiredBridges.append(bridge)
        bridge.retire()
        bridged.drain(through: bridge.gate, "HTTP is not served on \(bridge.address) any more")
        Task { [weak self] in
            await bridge.end(graceMilliseconds: Self.httpGraceMilliseconds)
            self?.retiredBridges.removeAll { $0 === bridge }
        }
    }

    /// Runs what blocks as long as a disk does on a thread of its own.
    private static func detached<Value: Sendable>(
        _ body: @escaping @Sendable () throws(HostError) -> Value
    ) async throws(HostError) -> Value {
        let result: Result<Value, HostError> = await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try DetachedThread.run {
                    continuation.resume(returning: Result { () throws(HostError) in try body() })
                }
            } catch {
                continuation.resume(returning: .failure(HostError("\(error)")))
            }
        }
        return try result.get()
    }
}
