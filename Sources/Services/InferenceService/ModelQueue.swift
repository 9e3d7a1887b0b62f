internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import LinuxSystem

/// Admission to one model: gives its free sequences to whoever has waited longest.
@IOLoop
final class ModelQueue {
    private let model: String
    private let limits: InferenceLimits
    private let backend: @IOLoop () -> ManagedBackend?
    private var queue: AdmissionQueue<Turn>
    private var running: [ObjectIdentifier: Turn] = [:]
    private var positionTimer: Timer?
    private var unreadTimer: Timer?

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
        if queue.count == 0, begin(turn, on: backend) { return }
        switch queue.append(turn) {
        case .full: turn.fail(StatusMapping.queueFull(model: model, waiting: queue.count))
        case .queued(let position):
            turn.queued(position: position)
            watchUnread()
            turn.limitWait { [weak self] turn in
                guard let self, queue.remove(turn) else { return }
                turn.fail(StatusMapping.queueTimeOver(model: self.model))
            }
        }
    }

    private func begin(_ turn: Turn, on backend: ManagedBackend) -> Bool {
        guard turn.begin(on: backend) else { return false }
        // One that nobody wants any more has ended by beginning.
        if !turn.isOver { running[ObjectIdentifier(turn)] = turn }
        return true
    }

    /// A turn that ended.
    func forget(_ turn: Turn) {
        running[ObjectIdentifier(turn)] = nil
        if queue.remove(turn) { announcePositions() }
    }

    /// A sequence was freed, or the state of the model's backend changed, or another one serves it now.
    func advance() {
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
        while let turn = queue.first, begin(turn, on: backend) {
            // Unless it has left by beginning.
            _ = queue.remove(turn)
            moved = true
        }
        if moved { announcePositions() }
    }

    /// A consumer that does not read may take its time, but not from others: while some wait for a sequence, turns that
    /// have stood still for too long end, no more of them than wait.
    private func watchUnread() {
        guard unreadTimer == nil, queue.count > 0 else { return }
        unreadTimer = IOLoop.schedule(afterMilliseconds: limits.unreadCheckMilliseconds) { [weak self] in
            guard let self else { return }
            unreadTimer = nil
            endUnread(at: .now())
            watchUnread()
        }
    }

    private func endUnread(at now: Monotonic) {
        let still = running.values.compactMap { turn in turn.unreadSince(at: now).map { (turn: turn, since: $0) } }
        // A library may tell only of what fills half of its window, which takes a slow reader longer than there is.
        for (turn, since) in still where since.advanced(milliseconds: limits.unreadMilliseconds / 2) <= now {
            turn.askWhatWasRead()
        }
        let unread = still.filter { $0.since.advanced(milliseconds: limits.unreadMilliseconds) <= now }
            .sorted { $0.since < $1.since }
        for (turn, _) in unread.prefix(queue.count) {
            turn.fail(StatusMapping.unread(model: model, milliseconds: limits.unreadMilliseconds))
        }
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
        case .starting, .loading, .ready, .draining, .backingOff: true
        case .waiting, .stopped, .failed: false
        }
    }
}
