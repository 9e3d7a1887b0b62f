package import BackendSupervisor
internal import ConsumerAccess
package import EventLoop
package import GRPC
internal import InferenceMessages
internal import SandboxPolicy
internal import SwiftProtobuf

internal import struct Foundation.Data

/// `hearth.v1.Inference`: the models of this host, to any gRPC client. Lives on the I/O loop.
@IOLoop
package final class InferenceService: Service {
    nonisolated package let name = "hearth.v1.Inference"
    package let limits: InferenceLimits
    /// Completion tokens sent to consumers, those of turns that go on included.
    package var tokensSent: UInt64 { queues.values.reduce(tokensOfEndedTurns) { $0 + $1.tokensSent } }
    /// Turns that ended with `Usage`, and that did not.
    package private(set) var turnsFinished: UInt64 = 0
    package private(set) var turnsFailed: UInt64 = 0

    private let supervisor: Supervisor
    private var tokensOfEndedTurns: UInt64 = 0
    private var queues: [String: ModelQueue] = [:]
    private var requestsNamed: UInt64 = 0
    private let cacheScopes = CacheScopes()

    package init(supervisor: Supervisor, limits: InferenceLimits) {
        self.supervisor = supervisor
        self.limits = limits
        supervisor.onAvailable = { [weak self] model in self?.queues[model]?.advance() }
    }

    nonisolated package func method(_ name: String) -> Method? {
        switch name {
        case "Chat": Method { call in RequestHandler(.chat, call, self) }
        case "Generate": Method { call in RequestHandler(.generate, call, self) }
        case "CountTokens": Method { call in RequestHandler(.countTokens, call, self) }
        case "ListModels":
            Method.unary { request, context in try await self.listModels(request, context.call) }
                .taking(messageBytesMax: limits.listRequestBytesMax)
        default: nil
        }
    }

    /// Requests that wait for a sequence of this model.
    package func waiting(model: String) -> Int { queues[model]?.count ?? 0 }
}

// MARK: - Turns

extension InferenceService {
    /// A name for a request that has none.
    func nextRequestID() -> String {
        requestsNamed += 1
        return "hearth-\(requestsNamed)"
    }

    /// Checks a request and makes its turn; throws the status that refuses it. `encoded` is what its backend gets.
    func turn(
        for request: TurnRequest, _ encoded: [UInt8], on call: ServerCall,
        ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) throws(Status) -> Turn {
        try RequestValidation.check(request)
        let consumer = call.caller as? Consumer
        let backend = try resolve(request.model, for: consumer)
        try consumer?.checkTurn()
        try checkCapabilities(request, backend)
        return Turn(request, encoded: encoded, model: backend.model, call: call, service: self, ended: ended)
    }

    /// Who may share what is computed for a call.
    func cacheScope(of call: ServerCall) -> [UInt8] { cacheScopes.scope(of: call.callerID) }

    func admit(_ turn: Turn) {
        let model = turn.model
        if queues[model] == nil {
            queues[model] = ModelQueue(model: model, limits: limits) { [supervisor] in
                supervisor.backend(model: model)
            }
        }
        queues[model]?.admit(turn)
    }

    /// Every turn ends here once, whatever ended it.
    func ended(_ turn: Turn, _ ending: TurnState.Ending) {
        queues[turn.model]?.forget(turn)
        tokensOfEndedTurns += UInt64(turn.tokensSent)
        switch ending {
        case .complete: turnsFinished += 1
        case .failed, .abandoned: turnsFailed += 1
        }
    }

    /// The backends whose models a consumer may see.
    private func backends(for consumer: Consumer?) -> [ManagedBackend] {
        guard let limits = consumer?.key.limits else { return supervisor.backends }
        return supervisor.backends.filter { limits.allows(model: $0.model) }
    }

    private func resolve(_ model: String, for consumer: Consumer?) throws(Status) -> ManagedBackend {
        if !model.isEmpty { try consumer?.check(model: model) }
        let allowed = backends(for: consumer)
        let known = allowed.map(\.model)
        if model.isEmpty {
            guard known.count == 1, let only = allowed.first else {
                let list =
                    known.isEmpty ? "this host lends no model now" : "choose one of: \(known.joined(separator: ", "))"
                throw RequestValidation.invalid("model", "is empty; \(list)")
            }
            return only
        }
        guard let backend = supervisor.backend(model: model) else {
            throw StatusMapping.unknown(model: model, known: known)
        }
        return backend
    }

    /// What the backend can do is known once it has said Hello; before that the request waits and is checked by it.
    private func checkCapabilities(_ request: TurnRequest, _ backend: ManagedBackend) throws(Status) {
        guard case .messages = request.prompt, backend.state == .ready, !backend.capabilities.contains("chat") else {
            return
        }
        throw StatusMapping.lacks("chat", model: backend.model, remedy: "send text or token_ids instead of messages")
    }
}

// MARK: - Unary methods

extension InferenceService {
    /// Calls back once, perhaps before it returns, unless it throws the status that refuses the question.
    func countTokens(
        _ request: TurnRequest, _ encoded: [UInt8], _ call: ServerCall,
        completion: @escaping @IOLoop (Result<Hearth_V1_CountTokensResponse, Status>) -> Void
    ) throws(Status) {
        try RequestValidation.check(request)
        let backend = try resolve(request.model, for: call.caller as? Consumer)
        guard backend.state == .ready else { throw StatusMapping.unavailable(backend) }
        guard backend.capabilities.contains("count_tokens") else {
            throw StatusMapping.lacks(
                "count_tokens", model: backend.model, remedy: "read Usage.prompt_tokens of a turn instead")
        }
        try checkCapabilities(request, backend)
        let model = backend.model
        backend.countTokens(request: encoded) { result in
            switch result {
            case .success(let tokens): completion(.success(.with { $0.tokens = tokens }))
            case .failure(.refused(let fault)): completion(.failure(StatusMapping.status(of: fault, model: model)))
            case .failure(.lost): completion(.failure(StatusMapping.lost(model: model)))
            }
        }
    }

    private func listModels(
        _ request: Hearth_V1_ListModelsRequest, _ call: ServerCall
    ) throws(Status) -> Hearth_V1_ListModelsResponse {
        let size = request.pageSize == 0 ? 1000 : min(Int(request.pageSize), 1000)
        let sorted = backends(for: call.caller as? Consumer).sorted { $0.model < $1.model }
        // The token of a page is the last id of the one before: pages stay right while models come and go.
        let rest = sorted.drop { !request.pageToken.isEmpty && $0.model <= request.pageToken }
        return .with {
            $0.models = rest.prefix(size).map(describe)
            if rest.count > size { $0.nextPageToken = $0.models.last?.id ?? "" }
        }
    }

    private func describe(_ backend: ManagedBackend) -> Hearth_V1_Model {
        .with {
            $0.id = backend.model
            $0.digest = Data(backend.modelDigest)
            $0.maxContextTokens = backend.maxContextTokens
            $0.capabilities = backend.capabilities.sorted()
            $0.sandboxTier = backend.tier
            $0.residualRisks = backend.residualRisks.map(\.line)
            switch backend.state {
            case .ready: $0.state = .ready
            case .starting, .loading, .draining, .backingOff: $0.state = .loading
            case .waiting, .stopped, .failed: $0.state = .unavailable
            }
        }
    }
}
