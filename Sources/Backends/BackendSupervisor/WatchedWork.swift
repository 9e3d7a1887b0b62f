internal import Synchronization

/// What the loop and the thread that works for it know of each other.
final class WatchedWork: Sendable {
    private let isCalledOff = Atomic(false)
    private let stepsTaken = Atomic<UInt64>(0)

    /// Grows as the work gets on.
    var steps: UInt64 { stepsTaken.load(ordering: .relaxed) }

    /// The result is not wanted any more.
    func callOff() { isCalledOff.store(true, ordering: .relaxed) }

    /// For the thread, after each piece of its work: whether to go no further.
    func noteStep() -> Bool {
        stepsTaken.add(1, ordering: .relaxed)
        return isCalledOff.load(ordering: .relaxed)
    }
}
