package import BackendIPC
internal import EventLoop
package import LinuxSystem
package import Logging
internal import SandboxPolicy

// Requests of consumers.
extension ManagedBackend {
    /// Begins a sequence with a serialized `hearth.v1.GenerateRequest`, passed on as it is. Nil when the backend is not
    /// ready or has no free sequence; `Supervisor.onAvailable` tells when to try again. Computed state is shared within
    /// `cacheScope` only (`Start.cacheScope`). `continuation`: what an earlier process has computed of it. `bounds` nil: they are read out of the request. `keepAliveSeconds`: how
    /// long a model that is loaded on demand is kept after this request; nil: for its usual time.
    package func begin(
        request: [UInt8], bounds: SequenceBounds? = nil, credit: UInt32, cacheScope: [UInt8] = [],
        continuation: Continuation? = nil, keepAliveSeconds: UInt32? = nil, handler: any SequenceHandler
    ) -> RunningSequence? {
        guard lifecycle.takesRequests, let connection else { return nil }
        // Fields that stand twice are merged, and the later ones win: the consumer's (protobuf, "Last One Wins").
        let defaults = launched.model.sampling.encodedRequest
        let sequence = connection.begin(
            request: defaults.isEmpty ? request : defaults + request, bounds: bounds, credit: credit,
            cacheScope: cacheScope, continuation: continuation, handler: handler)
        if sequence != nil {
            wasUsed(keepAliveSeconds: keepAliveSeconds)
            // Only where there is a choice does it matter who was served.
            if definition.replicas > 1 { scopes.served(cacheScope, at: lastUsed) }
        }
        return sequence
    }

    /// Since when its process can be used, on the clock of `Monotonic.awake`; nil: it cannot be.
    package var readySince: Monotonic? {
        if case .ready(let watchdog) = lifecycle.phase { watchdog.readySince } else { nil }
    }

    /// What a completion that began on its process can go on with, on this or another process.
    package var identity: Identity {
        Identity(
            definition: launched, version: version, modelDigest: modelDigest,
            canContinue: connection?.canContinue ?? false, setting: setting)
    }

    /// A request that ran alone on its process has ended it, and would end every other one: what follows is no backend's
    /// fault.
    /// `trace`: what its line of the log says of the request's trace.
    package func blame(theRequest reason: String, trace: Logger.Metadata = [:]) {
        isBlameless = true
        logger.warning(
            "a request is refused that has ended several processes",
            metadata: trace.merging(["reason": "\(reason)"]) { $1 })
        askForTurnEnd()
    }

    /// Begins an embedding with a serialized `hearth.v1.EmbedRequest` or `RerankRequest`, passed on as it is. Nil when the
    /// backend is not ready or has no room; `Supervisor.onAvailable` tells when to try again. Calls back once.
    package func embed(
        _ task: Embed.Task, request: [UInt8], keepAliveSeconds: UInt32?,
        completion: @escaping @IOLoop (Result<Embedded, SequenceLoss>) -> Void
    ) -> RunningEmbedding? {
        guard freeEmbeddings > 0 else { return nil }
        let running = connection?.embed(task, request: request, completion: completion)
        if running != nil { wasUsed(keepAliveSeconds: keepAliveSeconds) }
        return running
    }

    /// How many embeddings could begin on it now.
    var freeEmbeddings: Int {
        guard lifecycle.takesRequests else { return 0 }
        return connection?.freeEmbeddings ?? 0
    }

    /// The shorter lengths that vectors can be cut to.
    package var shorterDimensions: [UInt32] { launched.model.embeddingDimensions }

    /// How many sequences could begin on it now.
    var freeSequences: Int {
        guard lifecycle.takesRequests else { return 0 }
        return connection?.freeSequences ?? 0
    }

    /// When this process last began a sequence of this cache scope; nil: never, or too long ago.
    func lastServed(_ cacheScope: [UInt8]) -> Monotonic? { scopes[cacheScope] }

    /// Asks about the prompt of a serialized `hearth.v1.GenerateRequest`. Calls back once, perhaps before it returns; with
    /// a fault when the backend cannot answer, is not ready, has too many open questions, or takes too long.
    package func ask(
        _ question: PromptQuestion, request: [UInt8],
        completion: @escaping @IOLoop (Result<PromptAnswer, UnansweredQuestion>) -> Void
    ) {
        guard case .ready = lifecycle.phase, let connection else {
            return completion(
                .failure(.refused(Fault(.overloaded, "the model \(model) is \(state.rawValue); try again later"))))
        }
        wasUsed(keepAliveSeconds: nil)
        // If nothing runs on it, its keep-alive time begins anew.
        askForTurnEnd()
        connection.ask(question, request: request, completion: completion)
    }
}
