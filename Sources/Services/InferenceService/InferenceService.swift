package import BackendSupervisor
internal import ConsumerAccess
package import EventLoop
package import GRPC
internal import HTTP2Connection
internal import InferenceMessages
internal import LinuxSystem
package import Logging
internal import SandboxPolicy
internal import SwiftProtobuf
package import TraceExport
internal import WireFormat

internal import struct Foundation.Data

/// `hearth.v1.Inference`: the models of this host, to any gRPC client. Lives on the I/O loop.
@IOLoop
package final class InferenceService: Service {
    nonisolated package let name = "hearth.v1.Inference"
    package let limits: InferenceLimits
    /// Completion tokens sent to consumers, those of running turns included.
    package var tokensSent: UInt64 { queues.values.reduce(tokensOfEndedTurns) { $0 + $1.tokensSent } }
    /// The number of turns that ended with `Usage`, and of those that did not.
    package private(set) var turnsFinished: UInt64 = 0
    package private(set) var turnsFailed: UInt64 = 0

    /// The number of turns that run or wait while no call reads them.
    package var turnsAbsent: Int { resumables.all.count { $0.isAbsent } }

    /// The number of requests for vectors or scores that were answered, and of those that were not, and the tokens that were
    /// computed for both.
    package private(set) var embeddingsFinished: UInt64 = 0
    package private(set) var embeddingsFailed: UInt64 = 0
    package private(set) var embeddedTokens: UInt64 = 0

    /// Traces its turns; nil: nothing is traced.
    package var tracer: Tracer?
    /// Is told of turns that failed by no fault of their consumers.
    package var logger: Logger?
    private var toldFailures = Allowance(atOnce: toldFailuresPerSecondMax)

    private static let toldFailuresPerSecondMax = 20

    private let supervisor: Supervisor
    private var tokensOfEndedTurns: UInt64 = 0
    private var queues: [String: ModelQueue] = [:]
    private var requestsNamed: UInt64 = 0
    private var turnsNumbered: UInt64 = 0
    private let cacheScopes = CacheScopes()
    var resumables: Resumables
    /// Whether nobody can come back to a turn any more.
    var endsResumption = false
    /// Keeps turns that can be resumed over the death of this process; nil: nothing does.
    package var keeper: (any TurnKeeping)?
    /// What answers in the place of this agent, and the server of the HTTP bridge; nil: nothing does.
    var successor: (client: Client, bridged: Server, passing: Passage)?
    /// Where the agent before this one passes its calls on, and those that wait until they can go on.
    var passedServer: Server?
    var holdsPassedCalls = true
    var heldCalls: [@IOLoop () -> Void] = []
    private var passedIdentities: [(identity: ManagedBackend.Identity, bytes: [UInt8])] = []

    package init(supervisor: Supervisor, limits: InferenceLimits) {
        self.supervisor = supervisor
        self.limits = limits
        resumables = Resumables(limits)
        supervisor.onAvailable = { [weak self] model in self?.queues[model]?.advance() }
    }

    nonisolated package func method(_ name: String) -> Method? {
        switch name {
        case "Chat": Method { call in RequestHandler(.chat, call, self) }
        case "Generate": Method { call in RequestHandler(.generate, call, self) }
        case "Resume": Method { call in RequestHandler(.resume, call, self) }
        case "CountTokens": Method { call in RequestHandler(.countTokens, call, self) }
        case "Tokenize": Method { call in RequestHandler(.tokenize, call, self) }
        case "Detokenize": Method { call in RequestHandler(.detokenize, call, self) }
        case "ApplyTemplate": Method { call in RequestHandler(.applyTemplate, call, self) }
        case "Embed": Method { call in RequestHandler(.embed, call, self) }
        case "Rerank": Method { call in RequestHandler(.rerank, call, self) }
        case "ListModels":
            Method.immediate { [self] (request, call) throws(Status) in try listModels(request, call) }
                .taking(messageBytesMax: limits.listRequestBytesMax)
        default: nil
        }
    }

    /// Turns and embeddings of consumers that run, and that wait.
    package var load: (running: Int, waiting: Int) {
        queues.values.reduce((0, 0)) { ($0.0 + $1.runningCount, $0.1 + $1.count) }
    }

    /// Ordered by the ids of their models.
    var queuesByModel: [ModelQueue] { queues.sorted { $0.key < $1.key }.map(\.value) }

    /// Tells every turn what the owner's hold means for it.
    package func holdChanged() {
        for queue in queues.values { queue.tellOfPause() }
    }

    /// Tells every turn, unless it stands still anyway, that the machine has slept.
    package func hostSlept(seconds: UInt64) {
        guard supervisor.hold.pause == nil else { return }
        for queue in queues.values { queue.tellOfSleep(seconds: seconds) }
    }

    /// Requests that wait for a sequence of this model, or for its room for embeddings.
    package func waiting(model: String) -> Int { queues[model]?.count ?? 0 }
}

// MARK: - Turns

extension InferenceService {
    /// Makes a name for a request that has none.
    func nextRequestID() -> String {
        requestsNamed += 1
        return "hearth-\(requestsNamed)"
    }

    /// A number that no turn has had.
    func nextTurnNumber() -> UInt64 {
        turnsNumbered += 1
        return turnsNumbered
    }

    /// Checks a request and makes its turn; throws the status that refuses it. `encoded` is the request as its backend
    /// gets it.
    func turn(
        for request: TurnRequest, _ encoded: [UInt8], on call: ServerCall,
        ended: @escaping @IOLoop (TurnState.Ending) -> Void
    ) throws(Status) -> Turn {
        try RequestValidation.check(request, limits)
        let consumer = call.caller as? Consumer
        let model = try resolve(request.model, for: consumer)
        try checkDrain()
        try consumer?.checkTurn()
        if model.state == .ready {
            try CapabilityTable.check(completion: [], model.backend.capabilities, model: model.id)
        }
        try checkCapabilities(request, model)
        var claim = try claim(of: call, consumer)
        claim.sequences = request.choiceCount
        claim.wantsPlace = request.wantsQueueEvents
        if request.resumableMilliseconds != nil {
            try makeRoom(forResumableOf: call.callerID, byteCount: encoded.count)
        }
        try consumer?.begin(choices: request.choiceCount)
        return Turn(request, encoded: encoded, model: model.id, claim: claim, call: call, service: self, ended: ended)
    }

    /// Throws the status of a priority that is unknown or not allowed.
    private func claim(of call: ServerCall, _ consumer: Consumer?) throws(Status) -> QueueClaim {
        QueueClaim(
            caller: call.callerID, share: consumer?.share ?? 1,
            priority: try Consumer.priority(of: call, for: consumer))
    }

    /// Throws where the owner lets no new request begin.
    private func checkDrain() throws(Status) {
        if supervisor.hold.isDraining { throw StatusMapping.draining }
    }

    /// Whether the processes of backends have ended because their owner wants their memory.
    var isTakenBack: Bool { supervisor.hold.pause == .unloaded }

    /// The status of what ran on a process that is gone.
    func lost(model: String) -> Status {
        isTakenBack ? StatusMapping.takenBack(model: model) : StatusMapping.lost(model: model)
    }

    /// Names the callers that may share the computed state of a call.
    func cacheScope(of call: ServerCall) -> [UInt8] { cacheScopes.scope(of: call.callerID) }

    func admit(_ turn: Turn) {
        queue(of: turn.model).admit(turn)
    }

    /// The process of a running turn was lost, and another one goes on with it.
    func interrupted(_ turn: Turn) { queues[turn.model]?.interrupted(turn) }

    /// Checks a request for vectors or scores; throws the status that refuses it. Calls back once, unless it is abandoned.
    func embedding(
        for request: EmbeddingRequest, _ encoded: [UInt8], on call: ServerCall,
        completion: @escaping @IOLoop (Result<[UInt8], Status>) -> Void
    ) throws(Status) -> EmbeddingTurn {
        try request.check()
        let consumer = call.caller as? Consumer
        let model = try resolve(request.model, for: consumer)
        try checkDrain()
        try consumer?.checkTurn()
        let claim = try claim(of: call, consumer)
        return EmbeddingTurn(
            request, encoded: encoded, model: model.id, claim: claim, call: call, service: self,
            completion: completion)
    }

    func admit(_ embedding: EmbeddingTurn) { queue(of: embedding.model).admit(embedding) }

    /// Every embedding calls this once at its end, whatever ended it.
    func ended(_ embedding: EmbeddingTurn, isAnswered: Bool) {
        queues[embedding.model]?.forget(embedding)
        if isAnswered { embeddingsFinished += 1 } else { embeddingsFailed += 1 }
    }

    /// The process of a running embedding was lost, and another one computes it.
    func interrupted(_ embedding: EmbeddingTurn) { queues[embedding.model]?.interrupted(embedding) }

    func computed(embeddedTokens: UInt32) { self.embeddedTokens += UInt64(embeddedTokens) }

    func queue(of model: String) -> ModelQueue {
        if let queue = queues[model] { return queue }
        let queue = ModelQueue(model: model, limits: limits, supervisor: supervisor)
        queues[model] = queue
        return queue
    }

    /// Another agent has every turn from now on.
    func queuesAreLeft() { queues = [:] }

    /// What has computed a turn, for another agent. Few are different, and the words of one take a while.
    func passed(_ identity: ManagedBackend.Identity) -> [UInt8] {
        if let known = passedIdentities.first(where: { $0.identity.isSame(as: identity) }) { return known.bytes }
        if passedIdentities.count >= Self.passedIdentitiesMax { passedIdentities.removeFirst() }
        let bytes = identity.passed
        passedIdentities.append((identity, bytes))
        return bytes
    }

    private static let passedIdentitiesMax = 32

    /// Every turn calls this once at its end, whatever ended it.
    func ended(_ turn: Turn, _ ending: TurnState.Ending) {
        queues[turn.model]?.forget(turn)
        tokensOfEndedTurns += UInt64(turn.tokensSent)
        switch ending {
        case .complete: turnsFinished += 1
        case .failed(let status):
            turnsFailed += 1
            tell(status, of: turn)
        case .abandoned: turnsFailed += 1
        }
    }

    /// The status's words are its consumer's: they may be a backend's, and hold what was asked.
    private func tell(_ status: Status, of turn: Turn) {
        guard let logger, status.code == .internalError || status.code == .dataLoss || status.code == .unknown,
            toldFailures.take(at: .now())
        else { return }
        logger.warning(
            "a turn has failed",
            metadata: turn.logMetadata.merging(["model": "\(turn.model)", "status": "\(status.code.name)"]) { $1 })
    }

    /// The models that a consumer may see, ordered by id.
    private func models(for consumer: Consumer?) -> [ServedModel] {
        let limits = consumer?.key.limits
        return supervisor.models.values.filter { limits?.allows(model: $0.id) ?? true }.sorted { $0.id < $1.id }
    }

    /// The model that the owner names. Throws as for a consumer.
    package func model(named id: String) throws(Status) -> ServedModel { try resolve(id, for: nil) }

    /// Has a model loaded that its owner names, and returns once it is ready. Throws as for a consumer, and
    /// FAILED_PRECONDITION while its owner lets nothing run.
    package func load(named id: String) async throws(Status) -> ServedModel {
        let model = try resolve(id, for: nil)
        guard supervisor.hold.isEmpty else {
            throw Status(.failedPrecondition, "this agent is \(supervisor.hold.words): resume it first")
        }
        guard model.state != .unavailable else { throw StatusMapping.unavailable(model) }
        let result = await withCheckedContinuation { continuation in
            queue(of: model.id).whenReady { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    private func resolve(_ id: String, for consumer: Consumer?) throws(Status) -> ServedModel {
        if !id.isEmpty { try consumer?.check(model: id) }
        if let model = supervisor.models[id] { return model }
        let allowed = models(for: consumer)
        let known = allowed.map(\.id)
        guard id.isEmpty else {
            // A name without the quantisation behind its colon means the model while it is the only one.
            let named = allowed.filter { $0.id.hasPrefix("\(id):") }
            guard named.count != 1 else { return named[0] }
            throw named.isEmpty
                ? StatusMapping.unknown(model: id, known: known)
                : StatusMapping.ambiguous(model: id, among: named.map(\.id))
        }
        guard known.count == 1, let only = allowed.first else {
            let list =
                known.isEmpty ? "this host lends no model now" : "choose one of: \(known.joined(separator: ", "))"
            throw RequestValidation.invalid("model", "is empty; \(list)")
        }
        return only
    }

    /// The backend's capabilities are known once it has said Hello; a turn that comes before waits, and is checked when a
    /// backend is to begin it (`Turn.begin`).
    private func checkCapabilities(_ request: TurnRequest, _ model: ServedModel) throws(Status) {
        if model.state == .ready {
            try CapabilityTable.check(
                CapabilityTable.rows(of: request), model.backend.capabilities, model: model.id)
        }
        if let chosen = request.adapters { try RequestValidation.check(chosen, of: model.id, model.backend.adapters) }
    }
}

// MARK: - Unary methods

extension InferenceService {
    /// Answers a method that asks about a prompt. Calls back once, perhaps before it returns, unless it throws the status
    /// that refuses the question.
    func ask(
        _ method: RequestOrder.Method, _ request: TurnRequest, _ encoded: [UInt8], _ call: ServerCall,
        completion: @escaping @IOLoop (Result<PromptAnswer, Status>) -> Void
    ) throws(Status) {
        try RequestValidation.check(request, limits)
        try RequestValidation.check(request.prompt, for: method)
        let consumer = call.caller as? Consumer
        // Questions take turns of their own, but a priority is never ignored.
        _ = try Consumer.priority(of: call, for: consumer)
        let model = try resolve(request.model, for: consumer)
        try checkDrain()
        guard model.state == .ready || model.state == .unloaded || model.state == .loading else {
            throw StatusMapping.unavailable(model)
        }
        let trace = AnswerTrace(call, tracer: tracer) {
            TurnTrace($0, method, model: model.id, path: call.path, eventsMax: $1)
        }
        let end: @IOLoop (Result<PromptAnswer, Status>) -> Void = { result in
            if case .failure(let status) = result { trace?.end(status) } else { trace?.end(nil) }
            completion(result)
        }
        queue(of: model.id).whenReady { [weak self] result in
            do throws(Status) {
                guard let self else { return }
                try ask(method, request, encoded, try result.get(), trace, completion: end)
            } catch {
                end(.failure(error))
            }
        }
    }

    private func ask(
        _ method: RequestOrder.Method, _ request: TurnRequest, _ encoded: [UInt8], _ model: ServedModel,
        _ trace: AnswerTrace?, completion: @escaping @IOLoop (Result<PromptAnswer, Status>) -> Void
    ) throws(Status) {
        guard let question = method.question else { return }
        guard model.backend.capabilities.contains(question.capability) else {
            let remedy =
                question == .count
                ? "read Usage.prompt_tokens of a turn instead" : "ask a model that ListModels names it for"
            throw StatusMapping.lacks(question.capability, model: model.id, remedy: remedy)
        }
        try checkCapabilities(request, model)
        trace?.began(onProcessReadySince: model.backend.readySince)
        model.backend.ask(question, request: encoded) { [id = model.id] result in
            trace?.answered()
            switch result {
            case .success(.text(let text)) where method == .applyTemplate && !text.withUnsafeBytes(UTF8Text.isValid):
                completion(.failure(StatusMapping.notUTF8(model: id)))
            case .success(let answer): completion(.success(answer))
            case .failure(.refused(let fault)): completion(.failure(StatusMapping.status(of: fault, model: id)))
            case .failure(.lost): completion(.failure(self.lost(model: id)))
            }
        }
    }

    private func listModels(
        _ request: Hearth_V1_ListModelsRequest, _ call: ServerCall
    ) throws(Status) -> Hearth_V1_ListModelsResponse {
        let size = request.pageSize == 0 ? 1000 : min(Int(request.pageSize), 1000)
        // A page token is the last id of the page before: pages stay right while models come and go.
        let rest = models(for: call.caller as? Consumer).drop {
            !request.pageToken.isEmpty && $0.id <= request.pageToken
        }
        return .with {
            $0.models = rest.prefix(size).map(describe)
            if rest.count > size { $0.nextPageToken = $0.models.last?.id ?? "" }
        }
    }

    private func describe(_ model: ServedModel) -> Hearth_V1_Model {
        let backend = model.backend
        return .with {
            $0.id = model.id
            $0.digest = Data(backend.modelDigest)
            $0.maxContextTokens = backend.maxContextTokens
            $0.capabilities = backend.capabilities.sorted()
            $0.sandboxTier = backend.tier
            $0.residualRisks = backend.residualRisks.map(\.line)
            $0.adapters = backend.adapters.map { adapter in
                .with {
                    $0.name = adapter.name
                    $0.scale = adapter.scale
                    $0.isDefault = adapter.isDefault
                }
            }
            // Of a field that stands twice the later value wins: the owner's.
            $0.samplingDefaults = (try? Hearth_V1_Sampling(serializedBytes: backend.samplingDefaults)) ?? .init()
            if backend.embeddingDimensions > 0 {
                $0.embedding.dimensions = backend.embeddingDimensions
                $0.embedding.shorterDimensions = backend.shorterDimensions
            }
            switch model.state {
            case _ where supervisor.hold.isDraining: $0.state = .unavailable
            case .ready: $0.state = supervisor.hold.pause == nil ? .ready : .loading
            case .loading: $0.state = .loading
            case .unloaded: $0.state = .unloaded
            case .unavailable: $0.state = .unavailable
            }
        }
    }
}
