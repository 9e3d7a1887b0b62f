internal import EventLoop
internal import GRPC

/// Reads a call's requests, one at a time: a short one at once, a long one over several turns of the loop, and one with a form
/// once its grammar is made; meanwhile the call takes no more messages. On the loop; owned by the call's handler.
@IOLoop
final class RequestReading: UnfinishedWork {
    /// A request or message that came, with the bytes that its backend gets.
    enum Arrival {
        case generate(TurnRequest, encoded: [UInt8])
        case embedding(EmbeddingRequest, encoded: [UInt8])
        case cancel
        case acknowledge(UInt64)
        case resume(ResumeRequest)
        /// A `ChatRequest` that holds none of these.
        case nothing
    }

    /// The least work for a request, even where its connection's share of the turn is used up: most requests are
    /// shorter.
    private static let stepsMin = 100

    private let call: ServerCall
    private let service: InferenceService
    /// A request that was too long for one turn of the loop. An object, because a scan holds all limits, and most calls are
    /// open without one.
    private final class Unfinished {
        let scan: RequestScan
        let bytes: [UInt8]

        init(_ scan: RequestScan, _ bytes: [UInt8]) {
            self.scan = scan
            self.bytes = bytes
        }
    }

    private var unfinished: Unfinished?
    private var completion: (@IOLoop (Result<Arrival, Status>) -> Void)?
    /// Makes the grammar of a request.
    private var making: (task: Task<Void, Never>, bytes: [UInt8])?

    init(_ call: ServerCall, _ service: InferenceService) {
        self.call = call
        self.service = service
    }

    /// Calls back once, at once or later, unless it is stopped before.
    func read(
        _ message: UnsafeRawBufferPointer, _ scan: RequestScan,
        completion: @escaping @IOLoop (Result<Arrival, Status>) -> Void
    ) {
        var scan = scan
        do throws(Status) {
            var steps = min(max(call.stepsLeft, Self.stepsMin), service.limits.requestStepsPerTurnMax)
            let given = steps
            defer { call.charge(given - steps) }
            if let outcome = try scan.advance(message, steps: &steps) {
                guard case .generate(let request) = outcome, request.format != nil else {
                    return completion(.success(arrival(outcome, scan, message)))
                }
                self.completion = completion
                call.keep(message.count)
                call.pauseReceiving()
                return makeGrammar(for: request, scan, Array(message))
            }
        } catch {
            return completion(.failure(error))
        }
        unfinished = Unfinished(scan, Array(message))
        self.completion = completion
        call.keep(message.count)
        call.pauseReceiving()
        call.goOnLater(self)
    }

    /// Stops reading: the result is not wanted any more.
    func stop() {
        unfinished = nil
        completion = nil
        making?.task.cancel()
        making = nil
    }

    /// The request that is being read, which another agent reads; nil: none is.
    func leave() -> [UInt8]? {
        guard let bytes = unfinished?.bytes ?? making?.bytes else { return nil }
        stop()
        call.keep(0)
        call.resumeReceiving()
        return bytes
    }

    func goOn(steps: Int) -> Int {
        guard let suspended = unfinished else { return 0 }
        let bytes = suspended.bytes
        unfinished = nil
        var scan = suspended.scan
        var left = steps
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(Status) in try scan.advance(memory, steps: &left) }
        }
        call.charge(steps - left)
        switch result {
        case .success(nil):
            unfinished = Unfinished(scan, bytes)
            call.goOnLater(self)
        case .success(.generate(let request)?) where request.format != nil: makeGrammar(for: request, scan, bytes)
        case .success(let outcome?): finish(.success(bytes.withUnsafeBytes { arrival(outcome, scan, $0) }))
        case .failure(let status): finish(.failure(status))
        }
        return steps - left
    }

    private func finish(_ result: Result<Arrival, Status>) {
        let completion = completion
        self.completion = nil
        // The memory that the request takes from here on is counted by the object that keeps it.
        call.keep(0)
        completion?(result)
        call.resumeReceiving()
    }

    /// Makes the grammar of the form that a request wants beside the loop: it may take tens of milliseconds.
    private func makeGrammar(for request: TurnRequest, _ scan: RequestScan, _ bytes: [UInt8]) {
        let task = Task { [weak self] in
            let made = await GrammarMaking.shared.grammar(of: request)
            guard let self, let made, completion != nil else { return }
            making = nil
            switch made {
            case .success(let grammar):
                finish(.success(bytes.withUnsafeBytes { arrival(.generate(request), scan, $0, grammar: grammar) }))
            case .failure(let status): finish(.failure(status))
            }
        }
        making = (task, bytes)
    }

    private func arrival(
        _ outcome: RequestScan.Outcome, _ scan: RequestScan, _ bytes: UnsafeRawBufferPointer, grammar: String? = nil
    ) -> Arrival {
        switch outcome {
        case .cancel: return .cancel
        case .acknowledge(let seq): return .acknowledge(seq)
        case .resume(let request): return .resume(request)
        case .nothing: return .nothing
        case .embedding(let request): return .embedding(request, encoded: Array(bytes))
        case .generate(var request):
            if request.requestID.isEmpty { request.requestID = service.nextRequestID() }
            return .generate(
                request, encoded: scan.encoded(bytes, requestID: request.requestID, grammar: grammar))
        }
    }
}

/// Makes grammars one after the other, beside the loop, so that any number of requests takes one core at most.
private actor GrammarMaking {
    static let shared = GrammarMaking()

    /// Nil: nobody wants it any more.
    func grammar(of request: TurnRequest) -> Result<String?, Status>? {
        if Task.isCancelled { return nil }
        return Result { () throws(Status) in try RequestValidation.grammar(of: request) }
    }
}
