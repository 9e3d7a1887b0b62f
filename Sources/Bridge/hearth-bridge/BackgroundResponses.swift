internal import EventLoop
internal import GRPC
internal import HTTPProtocols
internal import InferenceMessages
internal import LinuxSystem

/// Computes responses in the background: reads each one's turn to its end, whoever reads the response, and wakes those who
/// read it. What is kept, and for how long, `StoredResponses` decides.
@IOLoop
final class BackgroundResponses {
    private var stored: StoredResponses
    /// What stops the computing of each.
    private var computing: [String: @IOLoop () -> Void] = [:]
    private var waiting: [String: [UInt64: Waiter]] = [:]
    private var lastWaiter: UInt64 = 0
    private var cleaning: Timer?
    /// Is told whenever something has changed, while responses are passed on.
    private var changes: AsyncStream<Void>.Continuation?

    private struct Waiter {
        let continuation: CheckedContinuation<Bool, Never>
        let timer: Timer
    }

    /// Events that a reader gets at once.
    static let eventsAtOnce = 256
    /// How long the bridge before may take to name its responses.
    static let namingMilliseconds: UInt64 = 10_000
    /// How often responses whose time is over are let go.
    private static let cleaningMilliseconds: UInt64 = 10_000

    nonisolated init() { stored = StoredResponses() }

    /// Begins to compute the response, and stores it once the agent has taken the request: what it refuses, a stranger's
    /// for one, takes nobody's place. Throws why it is not taken, and 429 where there is no place.
    func begin(
        _ asked: ResponsesRequest, _ response: StoredResponse, of caller: [UInt8], by agent: Client,
        _ options: CallOptions
    ) async throws(HTTPFailure) {
        let id = response.id
        let call: BidirectionalCall<Hearth_V1_GenerateRequest, Hearth_V1_ChatEvent> = agent.bidirectional(
            "/hearth.v1.Inference/Generate", options: options)
        do {
            try await call.send(asked.generate)
            call.endSending()
            var events = call.responses.makeAsyncIterator()
            guard let first = try await events.next() else { throw HTTPFailure.broken("an early end") }
            try stored.insert(response, of: caller, at: .now())
            _ = stored.receive(first, of: id, at: .now())
        } catch {
            call.cancel()
            throw .of(error, ResponsesRequest.param)
        }
        let reading = Task { [weak self] in
            defer { call.cancel() }
            do {
                for try await event in call.responses {
                    guard self?.receive(event, of: id) == true else { break }
                }
                self?.end(id, .broken("an early end"))
            } catch {
                self?.end(id, .of(error, ResponsesRequest.param))
            }
        }
        computing[id] = { reading.cancel() }
        wake(id)
        clean()
    }

    /// Returns false where nothing more of the response is wanted.
    @discardableResult
    func receive(_ event: Hearth_V1_ChatEvent, of id: String) -> Bool {
        defer { wake(id) }
        if stored.receive(event, of: id, at: .now()) { return true }
        computing[id] = nil
        return false
    }

    /// The turn is over; has no effect on a response that is whole, or was cancelled.
    func end(_ id: String, _ failure: HTTPFailure) {
        computing[id] = nil
        stored.fail(id, failure, at: .now())
        wake(id)
    }

    /// The response as far as it is; throws 404.
    func response(_ id: String, of caller: [UInt8]) throws(HTTPFailure) -> StoredResponse {
        try stored.response(id, of: caller)
    }

    /// Stops the computing; has no effect on a response that is over. Throws 404.
    func cancel(_ id: String, of caller: [UInt8]) throws(HTTPFailure) -> StoredResponse {
        _ = try stored.response(id, of: caller)
        stored.fail(id, .responseCancelled, at: .now())
        stop(id)
        wake(id)
        return try stored.response(id, of: caller)
    }

    /// Forgets the response, and stops the computing. Throws 404.
    func remove(_ id: String, of caller: [UInt8]) throws(HTTPFailure) {
        _ = try stored.response(id, of: caller)
        forget(id)
    }

    func forget(_ id: String) {
        stop(id)
        stored.remove(id)
        wake(id)
    }

    /// Returns false where it is not computed.
    @discardableResult
    func stop(_ id: String) -> Bool {
        guard let stop = computing.removeValue(forKey: id) else { return false }
        stop()
        return true
    }

    /// What a reader that has had so many events gets next.
    struct Piece {
        let events: [Hearth_V1_ChatEvent]
        /// They are the last ones, and the response is whole or has failed.
        let isLast: Bool
        let failure: HTTPFailure?
    }

    /// The next events of a response, if there are any. Throws 404.
    func next(of id: String, behind count: Int, for caller: [UInt8]) throws(HTTPFailure) -> Piece {
        let response = try stored.response(id, of: caller)
        let events = response.events(behind: count, most: Self.eventsAtOnce)
        return Piece(
            events: events, isLast: response.isOver && count + events.count == response.eventCount,
            failure: response.failure)
    }

    private func isBehind(_ id: String, _ count: Int, _ caller: [UInt8]) -> Bool {
        guard let response = try? stored.response(id, of: caller) else { return true }
        return response.isOver || response.eventCount > count
    }

    /// Whether the response has more than so many events, is over, or is gone, at the latest after this time; true also
    /// when the reader's task was cancelled.
    func hasMore(_ id: String, than count: Int, of caller: [UInt8], withinMilliseconds wait: UInt64) async -> Bool {
        guard !isBehind(id, count, caller) else { return true }
        lastWaiter += 1
        let number = lastWaiter
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !Task.isCancelled else { return continuation.resume(returning: true) }
                let timer = IOLoop.schedule(afterMilliseconds: wait) { [weak self] in self?.wake(id, number, false) }
                waiting[id, default: [:]][number] = Waiter(continuation: continuation, timer: timer)
            }
        } onCancel: {
            Task { @IOLoop in self.wake(id, number, true) }
        }
    }

    private func wake(_ id: String) {
        for number in (waiting[id] ?? [:]).keys { wake(id, number, true) }
        changes?.yield()
    }

    private func wake(_ id: String, _ number: UInt64, _ hasMore: Bool) {
        guard let waiter = waiting[id]?.removeValue(forKey: number) else { return }
        if waiting[id]?.isEmpty == true { waiting[id] = nil }
        waiter.timer.cancel()
        waiter.continuation.resume(returning: hasMore)
    }

    private func clean() {
        guard cleaning == nil, stored.count > 0 else { return }
        cleaning = IOLoop.schedule(afterMilliseconds: Self.cleaningMilliseconds) { [weak self] in
            guard let self else { return }
            cleaning = nil
            stored.removeOld(at: .now())
            clean()
        }
    }
}

// What passes from one bridge to another.
extension BackgroundResponses {
    var isComputing: Bool { !computing.isEmpty }
    var isEmpty: Bool { stored.count == 0 }

    func next(of telling: inout ResponsesTelling) -> [ResponsesTelling.Piece] { telling.next(of: stored) }

    /// Stores a response that another bridge computes, unless it has ended, and that `stop` stops. Returns false where it
    /// is not stored.
    func begin(_ record: StoredResponse.Record, stop: @escaping @IOLoop () -> Void) -> Bool {
        guard stored.insert(record, at: .now()) else { return false }
        if !record.hasEnded { computing[record.id] = stop }
        clean()
        return true
    }

    /// Something comes whenever responses may have changed, and at once.
    func beginPassing() -> AsyncStream<Void> {
        let (stream, changes) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.changes = changes
        changes.yield()
        return stream
    }

    /// Whether another bridge is told what comes.
    var isPassedOn: Bool { changes != nil }

    /// What has come so far is told, and nothing more.
    func endPassing() {
        changes?.yield()
        changes?.finish()
    }
}
