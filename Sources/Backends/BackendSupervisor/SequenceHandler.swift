package import BackendIPC
package import EventLoop

/// Who a sequence's tokens are for. Called on the I/O loop; exactly one of `finished` and `lost` comes, last.
///
/// Every method may call back: grant, cancel, begin another.
@IOLoop
package protocol SequenceHandler: AnyObject {
    /// Tokens of one decode step. The run's slices are valid during the call only; its `finish` is told by `finished`.
    func received(_ run: TokenRunView)

    /// The sequence ended, well or with a fault of its own.
    func finished(_ finish: Finish)

    /// The backend is gone, and the sequence with it. `reason` is a sentence about the backend.
    func lost(_ reason: String)
}

/// A sequence that was begun on a backend's process; after its end nothing comes of what is asked of it.
@IOLoop
package struct RunningSequence {
    let connection: BackendConnection
    let id: SequenceID

    /// Lets it compute so many tokens more. Does nothing once it was cancelled.
    package func grant(tokens: UInt32) { connection.grant(id, tokens: tokens) }

    /// Asks for its end; its handler's `finished` or `lost` still follows.
    package func cancel() { connection.cancel(id) }
}
