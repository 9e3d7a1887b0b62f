package import BackendIPC
package import EventLoop

/// Who a sequence's tokens are for. Called on the I/O loop; exactly one of `finished` and `lost` comes, last.
///
/// Every method may call back into the backend: grant, cancel, begin another.
@IOLoop
package protocol SequenceHandler: AnyObject {
    /// Tokens of one decode step. The run's slices are valid during the call only; its `finish` is told by `finished`.
    func received(_ run: TokenRunView)

    /// The sequence ended, well or with a fault of its own.
    func finished(_ finish: Finish)

    /// The backend is gone, and the sequence with it. `reason` is a sentence about the backend.
    func lost(_ reason: String)
}

/// Names one sequence of one backend; after its end it names nothing, even though the backend's number is used again.
package struct SequenceID: Hashable, Sendable {
    /// What the backend calls it: its place in the table of sequences.
    let number: UInt32
    /// Counts the sequences of one backend, across its restarts.
    let serial: UInt64
}
