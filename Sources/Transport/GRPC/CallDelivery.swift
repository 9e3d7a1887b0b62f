/// Decides when a call's handler gets the next message, and when it learns that the peer has ended: after the last
/// message, and once. Server and client use the same. Pure.
struct CallDelivery: Hashable {
    /// What is to be done now.
    enum Step: Hashable {
        case nothing
        /// Hand over the messages that have come.
        case deliver
        /// Tell the handler that the peer has sent its last message.
        case end
    }

    /// The reader wants no messages for now, and so the peer's window closes.
    private(set) var isPaused = false
    /// Messages have come that may not be handed over yet, for a reason other than the handler's pause.
    private(set) var isHeldBack = false
    /// The call is over: nothing is handed over any more.
    private(set) var isOver = false
    private(set) var isDelivering = false
    private var peerHasEnded = false
    private var hasToldEnd = false

    /// Whether the next message may be handed over.
    var wantsMessage: Bool { !takesNothing && !isOver }

    /// No message is taken, and so the peer's window closes.
    var takesNothing: Bool { isPaused || isHeldBack }

    mutating func pause() { isPaused = true }

    mutating func resume() -> Step {
        guard isPaused, !isOver else { return .nothing }
        isPaused = false
        // During a delivery there is nothing to begin: it goes on by itself.
        return isDelivering || isHeldBack ? .nothing : .deliver
    }

    mutating func holdBack() { isHeldBack = true }

    /// Messages are no longer held back.
    mutating func release() -> Step {
        guard isHeldBack, !isOver else { return .nothing }
        isHeldBack = false
        return isDelivering || isPaused ? .nothing : .deliver
    }

    /// Messages are handed over, one after the other, for as long as `wantsMessage`.
    mutating func beginDelivering() { isDelivering = true }

    mutating func endDelivering() { isDelivering = false }

    /// The peer has sent its last message. `holdsMessages` as in `endIfDue`.
    mutating func peerEnded(holdsMessages: Bool) -> Step {
        peerHasEnded = true
        return endIfDue(holdsMessages: holdsMessages)
    }

    /// The end, if it is due after a delivery. `holdsMessages`: messages may be left that a handler which has paused
    /// must get before the end.
    mutating func endIfDue(holdsMessages: Bool) -> Step {
        guard peerHasEnded, !hasToldEnd, !isOver, !isDelivering, !isHeldBack, !isPaused || !holdsMessages else {
            return .nothing
        }
        hasToldEnd = true
        return .end
    }

    mutating func over() { isOver = true }
}
