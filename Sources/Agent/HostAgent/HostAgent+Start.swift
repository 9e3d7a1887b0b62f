internal import AdminService
internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import HandOver
internal import InferenceMessages
internal import InferenceService
internal import LinuxSystem
internal import Logging
internal import SandboxPolicy
package import Settings
internal import TLSSession
internal import TraceExport

// How it starts, in the place of another agent or of none.
extension HostAgent {
    /// Accepts consumers and the owner, and starts the backends.
    ///
    /// `takingOver`: takes over from the agent that runs with the same state folder, if there is one. Its consumers
    /// notice nothing: its listeners, its backends and its calls pass to this one, and it relays what its consumers are
    /// connected for. Throws without disturbing that agent when an address cannot be had, when another agent is taking
    /// over, or when `stop` came first. `onHandOver` is called when another agent, in the process of this number, has taken
    /// over from this one, `onStop` when its owner asks it to stop.
    package func start(
        takingOver: Bool, onHandOver: @escaping @IOLoop @Sendable (Int32) -> Void,
        onStop: @escaping @IOLoop @Sendable () -> Void
    ) async throws(HostError) {
        let ownerAddress = try OwnerSocket.address(state: layout.state, environment: [:])
        try registerServices(onHandOver: onHandOver, onStop: onStop)
        let predecessor = takingOver ? try await Predecessor.find(at: ownerAddress, state: layout.state) : nil
        if takingOver, predecessor == nil { logger.notice("no agent runs that could be taken over from") }
        if predecessor == nil { await findLeft() }
        defer { left = nil }
        var backends: [PassedBackend] = []
        do throws(HostError) {
            backends = try await takeEverything(of: predecessor, ownerAt: ownerAddress)
        } catch {
            if predecessor != nil {
                // What is that agent's stays as it is.
                consumers.leaveListeners()
                owner.leaveListeners()
            }
            consumers.close()
            owner.close()
            bridge?.stop()
            throw error
        }
        if let predecessor { backends = await settle(after: predecessor, with: backends) }
        try startBackends(goingOnWith: backends + takeLeftBackends())
        inference.goOnWithPassedCalls()
        // Who comes back finds his turn.
        await predecessor?.passesCalls()
        try await goOnWithLeftTurns()
        try startListening()
        watchCertificates()
        hasStarted = true
    }

    /// Takes every address, and what the agent before this one has, or has left; returns the processes of backends that it passes
    /// on. Throws where all of it is still where it was.
    private func takeEverything(
        of predecessor: Predecessor?, ownerAt ownerAddress: SocketAddress
    ) async throws(HostError) -> [PassedBackend] {
        func demandGoingOn() throws(HostError) {
            if isStopping { throw HostError("stopped before it had started") }
        }
        guard let predecessor else {
            try bind(ownerAt: ownerAddress, succeeding: nil)
            try demandGoingOn()
            try await startHolder()
            try demandGoingOn()
            return []
        }
        try predecessor.demand(modelsFound())
        try await predecessor.begin()
        try bind(ownerAt: ownerAddress, succeeding: predecessor)
        try demandGoingOn()
        let passed = try await predecessor.take(callsAt: servePassedCalls())
        hand.goOn(with: passed.hold)
        access.goOn(with: passed.usedTokens)
        return passed.backends
    }

    /// The agent before this one has let go of everything, or has died; returns the processes that this one goes on with beside
    /// those that were left.
    private func settle(after predecessor: Predecessor, with passed: [PassedBackend]) async -> [PassedBackend] {
        logger.notice(
            "took over from the agent with pid \(predecessor.pid), with \(passed.count) processes of backends")
        // What its holder keeps is as it was when it stood still, and was frozen since.
        if predecessor.hasDied { await findLeft() }
        do throws(HostError) {
            try await startHolder()
        } catch {
            // The agent before is gone.
            logger.error("\(error)")
            await left?.letGo()
        }
        return passed.filter { left?.has(backend: $0.bytes) != true }
    }

    /// Takes every address before it listens on any.
    private func bind(ownerAt ownerAddress: SocketAddress, succeeding: Predecessor?) throws(HostError) {
        try bindForConsumers(succeeding: succeeding)
        if let address = listeners.first?.address { tracer?.serves(on: address) }
        _ = try bind(
            owner, to: ownerAddress, .plaintext, inherited: inherited(.owner, of: ownerAddress, from: succeeding))
        try bindBridge(succeeding: succeeding)
    }

    private func bindForConsumers(succeeding: Predecessor?) throws(HostError) {
        for address in configuration.listen {
            let security = security.security(of: address, configuration)
            let requiresKey = configuration.requiresKey(on: address)
            let gate = access.gate(requiresKey: requiresKey, clientSubjects: configuration.tlsClientSubjects)
            let bound = try bind(
                consumers, to: address, security, gate: gate,
                inherited: inherited(.consumers, of: address, from: succeeding))
            listeners.append(
                Listener(
                    address: bound, security: security.isTLS ? "tls" : "plaintext", requiresKey: requiresKey, gate: gate
                ))
        }
    }

    /// The socket that the agent before this one has for an address; nil: it has none, or there is no such agent.
    func inherited(
        _ role: Hearth_Handover_V1_Listener.Role, of address: SocketAddress?, from predecessor: Predecessor?
    ) -> BoundSocket? {
        guard let address, let predecessor else { return nil }
        return predecessor.takeListener(role, of: address)
    }

    private func bind(
        _ server: Server, to address: SocketAddress, _ security: ServerSecurity, gate: (any CallGate)? = nil,
        inherited: consuming BoundSocket? = nil
    ) throws(HostError) -> SocketAddress {
        do {
            return try server.bind(to: address, security: security, gate: gate, inherited: inherited)
        } catch {
            throw HostError(
                "\(error); choose another address with --listen, or end what holds this one (--take-over makes an agent "
                    + "with the same --state hand over)")
        }
    }

    private func startListening() throws(HostError) {
        do throws(LinuxError) {
            try consumers.startListening()
            try owner.startListening()
            try bridge?.start()
        } catch {
            throw HostError("\(error)")
        }
    }

    /// Serves calls that the agent before this one passes on; returns the other end of their socket.
    func servePassedCalls() throws(HostError) -> Descriptor {
        do throws(LinuxError) {
            let pair = try Descriptor.socketPair()
            try pair.first.setNonblocking(true)
            inference.servePassedCalls(on: passed)
            return pair.take { own, given in
                passed.serve(own, gate: access.gateOfPassedCalls(of: inference))
                return given
            }
        } catch {
            throw HostError("\(error)")
        }
    }

    private func modelsFound() throws(HostError) -> Set<String> {
        do {
            return try supervisor.modelsFound()
        } catch {
            throw HostError("the backends in \(layout.backends) cannot be started: \(error)")
        }
    }

    private func startBackends(goingOnWith passed: [PassedBackend]) throws(HostError) {
        logger.notice("every backend is held in sandbox tier \(configuration.tier), or does not start")
        for risk in supervisor.residualRisks { logger.notice("what remains open: \(risk.line)") }
        do {
            try supervisor.start(goingOnWith: passed)
        } catch {
            throw HostError("the backends in \(layout.backends) cannot be started: \(error)")
        }
    }
}

extension ServerSecurity {
    fileprivate var isTLS: Bool {
        if case .tls = self { true } else { false }
    }
}
