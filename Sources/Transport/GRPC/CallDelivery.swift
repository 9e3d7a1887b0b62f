/// When a call's reader, a handler, is given messages, and when the peer's end: after the last message, and once. The
/// same on a server and on a client. Pure.
struct CallDelivery: Hashable {
    /// What is to be done now.
    enum Step: Hashable {
        case nothing
        /// Hand over the messages that are there.
        case deliver
        /// Tell the reader that the peer has said all.
        case end
    }

    /// The reader wants no messages for now, and so the peer's window closes.
    private(set) var isPaused = false
    /// Messages are there that may not be handed over yet, for a reason that is not the reader's.
    private(set) var isHeldBack = false
    /// The call is over: nothing is handed over any more.
    private(set) var isOver = false
    private(set) var isDelivering = false
    private var peerHasEnded = false
    private var hasToldEnd = false

    /// Whether the next message may be handed over.
    var wantsMessage: Bool { !takesNothing && !isOver }

    /// What comes stays where it is, and so the peer's window closes.
    var takesNothing: Bool { isPaused || isHeldBack }

    mutating func pause() { isPaused = true }

    mutating func resume() -> Step {
        guard isPaused, !isOver else { return .nothing }
        isPaused = false
        // From within a message's delivery there is nothing to begin: it goes on by itself.
        return isDelivering || isHeldBack ? .nothing : .deliver
    }

    mutating func holdBack() { isHeldBack = true }

    /// What held messages back is over.
    mutating func release() -> Step {
        guard isHeldBack, !isOver else { return .nothing }
        isHeldBack = false
        return isDelivering || isPaused ? .nothing : .deliver
    }

    /// Messages are handed over, one after the other, for as long as `wantsMessage`.
    mutating func beginDelivering() { isDelivering = true }

    mutating func endDelivering() { isDelivering = false }

    /// The peer has said all. `holdsMessages` as in `endIfDue`.
    mutating func peerEnded(holdsMessages: Bool) -> Step {
        peerHasEnded = true
        return endIfDue(holdsMessages: holdsMessages)
    }

    /// What is left to tell after a delivery. `holdsMessages`: something may be left that a reader who pauses has still
    /// to be given before.
    mutating func endIfDue(holdsMessages: Bool) -> Step {
        guard peerHasEnded, !hasToldEnd, !isOver, !isDelivering, !isHeldBack, !isPaused || !holdsMessages else {
            return .nothing
        }
        hasToldEnd = true
        return .end
    }

    mutating func over() { isOver = true }
}
