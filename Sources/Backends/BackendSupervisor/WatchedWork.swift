internal import Synchronization

/// The state that the loop and the thread that works for it share: the progress, and whether it is called off.
final class WatchedWork: Sendable {
    private let isCalledOff = Atomic(false)
    private let stepsTaken = Atomic<UInt64>(0)

    /// Grows as the work makes progress.
    var steps: UInt64 { stepsTaken.load(ordering: .relaxed) }

    /// Tells the thread that its result is not wanted any more.
    func callOff() { isCalledOff.store(true, ordering: .relaxed) }

    /// Called by the thread after each piece of its work; returns whether to stop.
    func noteStep() -> Bool {
        stepsTaken.add(1, ordering: .relaxed)
        return isCalledOff.load(ordering: .relaxed)
    }
}
