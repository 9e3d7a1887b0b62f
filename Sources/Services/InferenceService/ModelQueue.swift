internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import LinuxSystem

/// Gives the free sequences of one model to whoever has waited longest: does what `AdmissionQueue` decides.
@IOLoop
final class ModelQueue {
    private let model: String
    private let limits: InferenceLimits
    private let backend: @IOLoop () -> ManagedBackend?
    private var queue: AdmissionQueue<Turn>

    init(model: String, limits: InferenceLimits, backend: @escaping @IOLoop () -> ManagedBackend?) {
        self.model = model
        self.limits = limits
        self.backend = backend
        queue = AdmissionQueue(limits)
    }

    /// How many wait.
    var count: Int { queue.waiting.count }

    /// What the turns that run have told of.
    var tokensSent: UInt64 { queue.running.values.reduce(0) { $0 + UInt64($1.tokensSent) } }

    /// Starts the turn, or lets it wait, or fails it.
    func admit(_ turn: Turn) {
        let backend = backend()
        do throws(AdmissionQueue<Turn>.Refusal) {
            if try queue.admit(prospect(of: backend)), let backend, begin(turn, on: backend) { return }
            turn.queued(position: try queue.wait(turn))
        } catch {
            return turn.fail(status(of: error, backend))
        }
        watchUnread()
        turn.limitWait { [model] turn in turn.fail(StatusMapping.queueTimeOver(model: model)) }
    }

    private func begin(_ turn: Turn, on backend: ManagedBackend) -> Bool {
        guard turn.begin(on: backend) else { return false }
        queue.began(turn, isOver: turn.isOver)
        return true
    }

    /// A turn that ended.
    func forget(_ turn: Turn) {
        if queue.forget(turn) { announcePositions() }
    }

    /// A sequence was freed, or the state of the model's backend changed, or another one serves it now.
    func advance() {
        guard queue.next != nil else { return }
        let backend = backend()
        if let (turns, refusal) = queue.dismiss(prospect(of: backend)) {
            for turn in turns { turn.fail(status(of: refusal, backend)) }
        }
        guard let backend else { return }
        let before = count
        while let turn = queue.next, begin(turn, on: backend) {}
        if count != before { announcePositions() }
    }

    private func prospect(of backend: ManagedBackend?) -> AdmissionQueue<Turn>.Prospect {
        guard let backend else { return .unknown }
        return backend.state.mayServe ? .serves : .unavailable
    }

    private func status(of refusal: AdmissionQueue<Turn>.Refusal, _ backend: ManagedBackend?) -> Status {
        switch refusal {
        case .full(let waiting): return StatusMapping.queueFull(model: model, waiting: waiting)
        case .unavailable:
            if let backend { return StatusMapping.unavailable(backend) }
            fallthrough
        case .unknown: return StatusMapping.unknown(model: model, known: [])
        }
    }

    private func watchUnread() {
        guard queue.watch() else { return }
        IOLoop.schedule(afterMilliseconds: limits.unreadCheckMilliseconds) { [weak self] in
            guard let self else { return }
            let now = Monotonic.now()
            let unread = queue.unread(at: now) { $0.unreadSince(at: now) }
            for turn in unread.asked { turn.askWhatWasRead() }
            for turn in unread.ended {
                turn.fail(StatusMapping.unread(model: model, milliseconds: limits.unreadMilliseconds))
            }
            watchUnread()
        }
    }

    private func announcePositions() {
        guard queue.moved() else { return }
        IOLoop.schedule(afterMilliseconds: limits.queuePositionMilliseconds) { [weak self] in
            guard let self else { return }
            for (position, turn) in queue.announce().enumerated() { turn.queued(position: position) }
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
