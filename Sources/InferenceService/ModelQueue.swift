internal import BackendSupervisor
internal import EventLoop
internal import GRPC

/// Admission to one model: gives its free sequences to whoever has waited longest.
@IOLoop
final class ModelQueue {
    private let model: String
    private let limits: InferenceLimits
    private let backend: @IOLoop () -> ManagedBackend?
    private var queue: AdmissionQueue<Turn>
    private var positionTimer: Timer?

    init(model: String, limits: InferenceLimits, backend: @escaping @IOLoop () -> ManagedBackend?) {
        self.model = model
        self.limits = limits
        self.backend = backend
        queue = AdmissionQueue(capacity: limits.queuedRequestsMax)
    }

    var count: Int { queue.count }

    /// Starts the turn, or lets it wait, or fails it.
    func admit(_ turn: Turn) {
        guard let backend = backend() else { return turn.fail(StatusMapping.unknown(model: model, known: [])) }
        guard backend.state.mayServe else { return turn.fail(StatusMapping.unavailable(backend)) }
        backend.onAvailable = { [weak self] in self?.advance() }
        if queue.count == 0, turn.begin(on: backend) { return }
        switch queue.append(turn) {
        case .full: turn.fail(StatusMapping.queueFull(model: model, waiting: queue.count))
        case .queued(let position):
            turn.queued(position: position)
            turn.limitWait { [weak self] turn in
                guard let self, queue.remove(turn) else { return }
                turn.fail(StatusMapping.queueTimeOver(model: self.model))
            }
        }
    }

    /// A turn that ended while it waited.
    func forget(_ turn: Turn) {
        if queue.remove(turn) { announcePositions() }
    }

    /// A sequence was freed, or the backend's state changed.
    private func advance() {
        guard queue.count > 0 else { return }
        guard let backend = backend() else {
            for turn in queue.removeAll() { turn.fail(StatusMapping.unknown(model: model, known: [])) }
            return
        }
        guard backend.state.mayServe else {
            for turn in queue.removeAll() { turn.fail(StatusMapping.unavailable(backend)) }
            return
        }
        var moved = false
        while let turn = queue.first, turn.begin(on: backend) {
            queue.removeFirst()
            moved = true
        }
        if moved { announcePositions() }
    }

    /// Not at each change: with a thousand waiting that would be a thousand messages for every one that moves up.
    private func announcePositions() {
        guard positionTimer == nil, queue.count > 0 else { return }
        positionTimer = IOLoop.schedule(afterMilliseconds: limits.queuePositionMilliseconds) { [weak self] in
            guard let self else { return }
            positionTimer = nil
            for (position, turn) in queue.waiting.enumerated() { turn.queued(position: position) }
        }
    }
}

extension ManagedBackend.State {
    /// Whether a request may wait for it: it serves, or will without anybody's doing.
    var mayServe: Bool {
        switch self {
        case .starting, .loading, .ready, .backingOff: true
        case .stopped, .failed: false
        }
    }
}
