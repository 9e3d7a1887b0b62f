package import LinuxSystem

/// The one thread that owns every connection, backend socket and timer of this process.
///
/// Whatever is marked `@IOLoop` runs there; calls between such functions are plain calls, checked by the compiler.
/// `Docs/decisions/0001-one-io-loop.md` says why there is one.
@globalActor
package actor IOLoop {
    package static let shared = IOLoop()

    /// The thread behind it; started at first use, never stopped.
    nonisolated package let executor = EventLoopExecutor()

    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Calls a function of the loop's from a C callback that is known to run on the loop's thread. Enter once per
    /// event, not per token; the check is made in debug builds only.
    package nonisolated static func assumeIsolated<Result>(_ body: @IOLoop () throws -> Result) rethrows -> Result {
        assert(shared.executor.isCurrent, "this callback must run on the loop's thread")
        return try withoutActuallyEscaping(body) { escaping in
            // Proof: only the isolation is dropped from the type, and the caller is on the loop's thread.
            try unsafeBitCast(escaping, to: (() throws -> Result).self)()
        }
    }
}

/// Something that waits for a descriptor.
@IOLoop
package protocol ReadinessHandler: AnyObject {
    /// The descriptor is ready; called once per turn. Errors and hang-ups are reported whatever the interest.
    func ready(_ readiness: Readiness)
}

/// Something that finishes what a turn of the loop began: flushes once whatever many events wrote.
@IOLoop
package protocol TurnEndHandler: AnyObject {
    func turnEnded()
}
