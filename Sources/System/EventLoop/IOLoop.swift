package import LinuxSystem

/// The one thread that owns every connection, backend socket and timer of this process.
///
/// All code marked `@IOLoop` runs there; calls between such functions are plain calls, checked by the compiler.
/// `Docs/decisions/0001-one-io-loop.md` says why there is one, and `LoopLimits` what a turn of it may cost.
@globalActor
package actor IOLoop {
    package static let shared = IOLoop()

    package static let limits = LoopLimits()

    /// The thread behind it; started at first use, never stopped.
    nonisolated package let executor = EventLoopExecutor()

    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Calls an `@IOLoop` function from a C callback that is known to run on the loop's thread; only debug builds check
    /// that. The function gets its context as arguments: a function that captures nothing costs no allocation, where a
    /// closure would allocate a context each time.
    @inlinable @inline(__always)
    package nonisolated static func assumeIsolated<First, Second, Result>(
        _ first: First, _ second: Second, _ body: @escaping @IOLoop (First, Second) -> Result
    ) -> Result {
        assert(isCurrent, "this callback must run on the loop's thread")
        // Proof: only the isolation is dropped from the type, and the caller is on the loop's thread.
        return unsafeBitCast(body, to: ((First, Second) -> Result).self)(first, second)
    }

    @usableFromInline
    nonisolated package static var isCurrent: Bool { shared.executor.isCurrent }
}

/// The priority with which the loop serves a source in every turn.
package enum LoopPriority: Sendable {
    /// The owner, signals, and backends: few, each with a share of its own. Each is served in every turn, whatever
    /// consumers do.
    case first
    case usual
}

/// Something that waits for a descriptor.
@IOLoop
package protocol ReadinessHandler: AnyObject {
    /// The descriptor is ready; called at most once per turn. Errors and hang-ups are reported whatever the interest.
    ///
    /// The work in one call must be bounded, whatever has come, to a thousand steps or two (`WorkSteps`). A handler
    /// that has more to do goes on later (`UnfinishedWork`), and reads nothing more meanwhile.
    func ready(_ readiness: Readiness)
}

/// Something that finishes what a turn of the loop began, such as one flush of what many events wrote.
@IOLoop
package protocol TurnEndHandler: AnyObject {
    func turnEnded()
}

/// Work that is too much for one turn of the loop, and is done in pieces.
@IOLoop
package protocol UnfinishedWork: AnyObject {
    /// Goes on for about `steps`, and returns how many it took. A piece that cannot be cut may go beyond. If something is
    /// left, it asks again (`IOLoop.goOnLater`); if nothing is left to do, whatever has happened since, it returns 0.
    func goOn(steps: Int) -> Int
}
