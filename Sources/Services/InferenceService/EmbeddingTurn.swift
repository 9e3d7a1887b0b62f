internal import BackendIPC
internal import BackendSupervisor
internal import ConsumerAccess
internal import EventLoop
internal import GRPC
internal import LinuxSystem

/// One request of `Embed` or `Rerank`: it waits until its model is loaded and one of the model's processes has room, and
/// then for the answer. Where that process is lost, the next one computes it anew.
///
/// Owned by the call's handler, by its model's queue while it waits, and by its backend's connection while it runs, also
/// when its call is gone: what was computed for it is charged.
@IOLoop
final class EmbeddingTurn: QueuedRequest {
    private enum Phase {
        case waiting
        case running(RunningEmbedding)
        case over
    }

    let model: String
    nonisolated let claim: QueueClaim
    /// Tells it from all others of this agent.
    let number: UInt64
    private let arrived = Monotonic.awake()
    private var begun: Monotonic?
    private let request: EmbeddingRequest
    /// The request as the backend gets it; empty once it is over.
    private var encoded: [UInt8]
    private let call: ServerCall
    private let service: InferenceService
    private let consumer: Consumer?
    /// What the request needs of its backend.
    private let needs: [CapabilityTable.Row]
    /// Nil once the request was answered or abandoned.
    private var completion: (@IOLoop (Result<[UInt8], Status>) -> Void)?
    private var phase = Phase.waiting
    private weak var process: ManagedBackend?
    /// How many processes have failed in a row while they computed it.
    private(set) var failures = 0
    /// Nil: it is not traced.
    private let trace: AnswerTrace?
    private var computedTokens: UInt32?

    init(
        _ request: EmbeddingRequest, encoded: [UInt8], model: String, claim: QueueClaim, call: ServerCall,
        service: InferenceService, completion: @escaping @IOLoop (Result<[UInt8], Status>) -> Void
    ) {
        self.request = request
        self.encoded = encoded
        self.model = model
        self.claim = claim
        self.call = call
        self.service = service
        self.completion = completion
        number = service.nextTurnNumber()
        consumer = call.caller as? Consumer
        needs = CapabilityTable.rows(of: request)
        trace = AnswerTrace(call, tracer: service.tracer) {
            TurnTrace($0, request, model: model, path: call.path, eventsMax: $1)
        }
    }

    var isOver: Bool { if case .over = phase { true } else { false } }

    /// Whether its process was lost, and the next one has not begun it.
    var isInterrupted: Bool { if case .waiting = phase { begun != nil } else { false } }

    /// Whether it may be what its processes fail at: it is tried while no other begins.
    var isSuspect: Bool { failures >= TurnState.failuresOfSuspect }

    /// It waits in its model's queue.
    func queued() { call.keep(encoded.count) }

    /// What its owner is told of it.
    func listed(_ standing: ListedTurn.Standing, over bridged: Server, at now: Monotonic) -> ListedTurn {
        ListedTurn(
            number: number, task: request.task == .embed ? .embed : .rerank, caller: .of(call, over: bridged),
            model: model, standing: standing, priority: claim.priority,
            ageMilliseconds: now.since(arrived) / 1_000_000,
            runningMilliseconds: begun.map { now.since($0) / 1_000_000 })
    }

    /// Begins on a backend; returns false if that has no room. A backend that lacks what the request needs does not see it:
    /// the request is over then.
    func begin(on backend: ManagedBackend) -> Bool {
        guard case .waiting = phase else { return true }
        do throws(Status) {
            try CapabilityTable.check(needs, backend.capabilities, model: model)
            try request.check(
                model: model, dimensions: backend.embeddingDimensions, shorter: backend.shorterDimensions)
        } catch {
            fail(error)
            return true
        }
        let running = backend.embed(request.task, request: encoded, keepAliveSeconds: request.keepAliveSeconds) {
            self.answered($0)
        }
        guard let running else { return false }
        phase = .running(running)
        process = backend
        begun = .awake()
        trace?.began(onProcessReadySince: backend.readySince)
        return true
    }

    /// Another agent answers it: nothing comes of it here any more. Returns the request.
    func leave() -> [UInt8] {
        let request = encoded
        completion = nil
        end(nil)
        return request
    }

    /// Ends it with this status.
    func fail(_ status: Status) { end(.failure(status)) }

    /// The call is gone: stops the computation.
    func abandon() {
        completion = nil
        switch phase {
        case .waiting: end(nil)
        case .running(let running): running.cancel()
        case .over: break
        }
    }

    private func answered(_ result: Result<Embedded, SequenceLoss>) {
        switch result {
        case .success(let answer):
            trace?.answered()
            computedTokens = answer.computedTokens
            consumer?.charge(answer.computedTokens)
            service.computed(embeddedTokens: answer.computedTokens)
            guard completion != nil else { return end(nil) }
            if let fault = answer.fault {
                end(.failure(StatusMapping.status(of: fault, model: model)))
            } else {
                end(.success(EmbeddingAnswer.bytes(of: answer, to: request)))
            }
        case .failure(let loss): lost(loss)
        }
    }

    /// It goes back to its queue, before those that have not begun; unless nobody waits for it, or its processes fail at
    /// it.
    private func lost(_ loss: SequenceLoss) {
        guard completion != nil else { return end(nil) }
        trace?.lost()
        if loss.isFailure {
            failures += 1
            if failures > TurnState.failuresOfSuspect, loss.wasAlone || failures > TurnState.failuresMax {
                process?.blame(theRequest: loss.reason)
                return end(.failure(StatusMapping.poisonous(model: model, processes: failures)))
            }
        }
        phase = .waiting
        service.interrupted(self)
    }

    /// - Parameter result: nil: nobody waits for it.
    private func end(_ result: Result<[UInt8], Status>?) {
        guard !isOver else { return }
        phase = .over
        call.keep(0)
        encoded = []
        let completion = completion
        self.completion = nil
        service.ended(self, isAnswered: (try? result?.get()) != nil)
        let failure: Status? =
            switch result {
            case .success?: nil
            case .failure(let status)?: status
            case nil: Status(.cancelled)
            }
        trace?.end(failure, inputTokens: computedTokens)
        if let result { completion?(result) }
    }
}
