internal import BackendIPC
internal import EventLoop
internal import Logging
internal import SandboxPolicy
internal import TerminalText

// Messages of the process.
extension ManagedBackend: BackendConnectionOwner {
    func heard(_ hello: Hello) {
        facts.heard(hello)
        guard let revision = BackendConversation.commonRevision(hello) else { return reject(hello) }
        if let lack = launched.lack(of: hello.capabilities, weights?.weights) { return reject(lack) }
        let limits = setting.configuration.limits
        connection?.welcome(
            Welcome(
                revision: revision, maxFrameBytes: UInt32(clamping: limits.backendFrameBytesMax),
                pingIntervalMilliseconds: UInt32(clamping: limits.pingIntervalMilliseconds)),
            launched.load(weights?.weights, owner: setting.configuration.owner, limits: limits))
        let (milliseconds, overflow) = launched.manifest.loadSeconds.multipliedReportingOverflow(by: 1_000)
        apply { $0.greeted(loadMilliseconds: overflow ? .max : milliseconds, at: $1) }
    }

    private func reject(_ hello: Hello) {
        let ours = ContractLimits.revisions
        reject(
            "speaks revisions \(hello.minRevision) to \(hello.maxRevision) of the backend contract, this host"
                + " \(ours.lowerBound) to \(ours.upperBound); use a build of it for this host"
                + ContractClause.commonRevision.mark)
    }

    private func reject(_ reason: String) {
        connection?.reject(Reject(reason: reason))
        refuse(reason)
    }

    /// Ends it, because its owner has to change something.
    private func refuse(_ reason: String) {
        apply { $0.gaveUp(reason, forOwner: true, at: $1) }
    }

    func heard(_ progress: LoadProgress) { apply { $0.loadProgressed(progress.fraction, at: $1) } }

    func heard(_ loaded: Loaded) {
        facts.heard(loaded)
        if let longest = shorterDimensions.last, longest >= max(1, loaded.embeddingDimensions) {
            return refuse(
                "makes vectors of \(loaded.embeddingDimensions) numbers, none of which can be cut to \(longest); correct"
                    + " \"embedding\" in the model's settings")
        }
        wasReady = true
        apply { $0.loaded(at: $1) }
        tellPassable(isReading: true)
        logger.info("ready", metadata: ["version": "\(version)", "sequences": "\(maxSequences)"])
    }

    // It was not asked to inspect.
    func heard(_ inspected: Inspected) {}

    func heard(_ pong: Pong) {
        steps = pong.steps
        guard let connection else { return }
        // A backend that delivers makes progress, whatever it counts as a step.
        let progress = pong.steps &+ connection.tokensReceived
        apply { $0.answered(progress: progress, isBusy: connection.isBusy, at: $1) }
    }

    func gaveUp(_ fault: Fault) {
        // A model that is not loaded may lack what the filter denies.
        let denied = wasReady ? nil : BackendExit.denial(namesOfDenied)
        let reason = (["gave up: \(printable(fault.message))", denied].compactMap { $0 }).joined(separator: "; ")
        logger.warning("gave up", metadata: ["reason": "\(printable(fault.message))"])
        apply { $0.gaveUp(reason, forOwner: fault.code == .badModel, at: $1) }
    }

    func broke(_ violation: ContractViolation) {
        let sentence = printable(violation.description)
        logger.warning("broke the backend contract", metadata: ["reason": "\(sentence)"])
        apply { $0.broke("broke the contract: \(sentence)", at: $1) }
    }

    func connectionEnded() { apply { $0.closed(at: $1) } }

    func settled() { apply { life, _ in life.settled() } }

    func roomFreed() {
        availabilityChanged = true
        askForTurnEnd()
    }
}
