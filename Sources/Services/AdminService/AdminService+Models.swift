internal import BackendSupervisor
internal import BaseEncodings
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import InferenceService
internal import SwiftProtobuf

// The models that consumers can ask for.
extension AdminService {
    func listModels() -> Hearth_Admin_V1_ListModelsResponse {
        .with {
            $0.models = supervisor.models.values.sorted { $0.id < $1.id }.map(described)
            $0.unserved = unserved
            $0.pulls = pulls.list
            if !supervisor.hold.isEmpty { $0.hold = AdminAnswers.described(supervisor.hold) }
            $0.modelsFolder = facts.pulls.folder ?? ""
        }
    }

    func load(_ request: Hearth_Admin_V1_LoadModelRequest) async throws(Status) -> Hearth_Admin_V1_LoadModelResponse {
        let model = try await inference.load(named: request.model)
        return .with { $0.model = described(model) }
    }

    func unload(_ request: Hearth_Admin_V1_UnloadModelRequest) throws(Status) -> Hearth_Admin_V1_UnloadModelResponse {
        let model = try inference.model(named: request.model)
        guard let processes = supervisor.unload(model, isNow: request.now) else {
            throw Status(
                .failedPrecondition,
                "the model '\(model.id)' stays in memory, as its backend's settings say; a pause with 'unload' gives its memory "
                    + "back")
        }
        return .with {
            $0.processes = UInt32(clamping: processes)
            $0.running = model.processes.reduce(0) { $0 &+ $1.runningRequests }
        }
    }

    private func described(_ model: ServedModel) -> Hearth_Admin_V1_Model {
        let backend = model.backend
        return .with {
            $0.id = model.id
            $0.backend = backend.name
            $0.state = backend.state.rawValue
            $0.detail = backend.detail
            if let fraction = backend.loadFraction { $0.loadedFraction = fraction }
            $0.path = backend.weightsPath ?? ""
            $0.fileBytes = backend.weightsBytes
            $0.sha256 = hexadecimal(backend.modelDigest)
            $0.contextTokens = backend.maxContextTokens
            $0.maxSequences = model.processes.reduce(0) { $0 &+ $1.maxSequences }
            $0.memoryBytes = model.processes.reduce(0) { $0 &+ $1.anonymousBytes }
            $0.memoryMaxBytes = backend.memoryMaxBytes
            $0.capabilities = backend.capabilities.sorted()
            $0.replicas = UInt32(clamping: backend.replicas)
            $0.running = model.processes.reduce(0) { $0 &+ $1.runningRequests }
            $0.waiting = UInt32(clamping: inference.waiting(model: model.id))
            $0.sandboxTier = backend.tier
            $0.residualRisks = backend.residualRisks.map(AdminAnswers.described)
            $0.isOnDemand = model.isOnDemand
            $0.isLent = supervisor.origin(of: backend) == .lent
            if let left = backend.millisecondsToUnload { $0.unloadInMilliseconds = left }
        }
    }
}
