internal import BaseEncodings
internal import EventLoop
internal import LinuxSystem
internal import SandboxLaunch
internal import SandboxPolicy

/// Opens the weights and starts the process, on a thread of its own: reading gigabytes of weights takes seconds, and a disk
/// that hangs takes for ever.
struct BackendStart: Sendable {
    let definition: BackendDefinition
    let starter: any BackendStarter
    /// Nil: the weights are opened without reading all of them.
    let digests: DigestCache?
    let policiesDirectory: String
    let weightsSettledMilliseconds: UInt64
    let control = WatchedWork()

    /// On the loop, so that its result comes there directly, however busy the other threads are.
    @IOLoop func run() async -> Result<StartedBackend, StartFailure> {
        await withCheckedContinuation { continuation in
            do throws(LinuxError) {
                try DetachedThread.run {
                    let result = Result { try launch() }
                    continuation.resume(returning: result.mapError(StartFailure.init))
                }
            } catch {
                continuation.resume(returning: .failure(StartFailure(error)))
            }
        }
    }

    private func launch() throws -> StartedBackend {
        let weights = try openWeights()
        _ = control.noteStep()
        let process = try starter.launch(definition, weights: weights)
        let policy =
            definition.policy?.policy ?? (try? SeccompPolicy.named(definition.manifest.policy, in: policiesDirectory))
        return StartedBackend(
            process: process, weights: weights,
            addedRisks: policy.map { ResidualRisk.added(by: $0, devices: definition.manifest.devices) } ?? [])
    }

    private func openWeights() throws -> ModelWeights? {
        let places: [PlaceWithin]
        switch definition.weights {
        case .none: return nil
        case .refused(let sentence): throw SupervisorError(sentence)
        case .at(let found): places = found
        }
        func look() -> [WeightsLook] {
            WeightsLook.look(at: places, settledMilliseconds: weightsSettledMilliseconds).map { look in
                // If the clock was set back it would never settle; a later change of it is noticed.
                guard case .found(let facts, _) = look, facts.changedNanoseconds > FileFacts.clockNanoseconds() else {
                    return look
                }
                return WeightsLook.found(facts, isSettled: true)
            }
        }
        if let wait = definition.wait(for: look()) { throw WeightsAwaited(description: wait) }
        do {
            let files = try places.map { try ModelFile($0, digests: digests, isCalledOff: { control.noteStep() }) }
            let weights = ModelWeights(files, of: definition.model)
            if digests != nil, let pinned = definition.model.digest, weights.digest != pinned {
                let all =
                    weights.parts.count > 1
                    ? "\(weights.parts.count) parts of the weights, from \(places[0].path) on," : ""
                throw SupervisorError(
                    "the \(all.isEmpty ? "weights \(places[0].path)" : all) have the SHA-256 "
                        + "\(hexadecimal(weights.digest)), and not the one that their settings name, "
                        + "\(hexadecimal(pinned)); bring the right file, or correct the settings")
            }
            return weights
        } catch {
            // They may have gone, or begun to change, while they were read.
            let found = look()
            if let wait = definition.wait(for: found) { throw WeightsAwaited(description: wait) }
            // The look's words have the remedy for a folder of models.
            if let error = error as? TrustError, !error.isTransient, let refusal = found.refusal {
                throw SupervisorError(refusal)
            }
            throw error
        }
    }
}

/// The result of a launch.
struct StartedBackend: Sendable {
    let process: SandboxedProcess
    let weights: ModelWeights?
    /// The risks that its policy and its devices add to those of its tier.
    let addedRisks: [ResidualRisk]
}
