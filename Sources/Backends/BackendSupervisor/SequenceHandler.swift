package import BackendIPC
package import EventLoop

/// Receives the tokens of one sequence. Called on the I/O loop; exactly one of `finished` and `lost` comes, last.
///
/// Every method may call back into the backend: grant, cancel, begin another sequence.
@IOLoop
package protocol SequenceHandler: AnyObject {
    /// Tokens of one decode step. The run's slices are valid during the call only; its `finish` is told by `finished`.
    func received(_ run: TokenRunView)

    /// The sequence ended, well or with a fault of its own.
    func finished(_ finish: Finish)

    /// The backend is gone, and the sequence with it. `reason` is a sentence about the backend.
    func lost(_ reason: String)
}

/// A sequence that was begun on a backend's process; after its end its methods have no effect.
@IOLoop
package struct RunningSequence {
    let connection: BackendConnection
    let id: SequenceID

    /// Adds credit for so many tokens. Does nothing once it was cancelled.
    package func grant(tokens: UInt32) { connection.grant(id, tokens: tokens) }

    /// Asks for its end; its handler's `finished` or `lost` still follows.
    package func cancel() { connection.cancel(id) }
}
