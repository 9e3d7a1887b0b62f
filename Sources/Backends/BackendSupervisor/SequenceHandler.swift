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

    /// The process is gone, and the sequence with it.
    func lost(_ loss: SequenceLoss)
}

/// The loss of a sequence, or of an embedding, whose process is gone.
package struct SequenceLoss: Error {
    /// A sentence about the backend.
    package let reason: String
    /// Whether the process failed at its work, perhaps at this sequence; otherwise the agent or somebody else has ended it.
    package let isFailure: Bool
    /// Whether nothing else ran on the process.
    package let wasAlone: Bool
    /// How far the tool calls of the sequence had come, for a `Continuation`.
    package let toolCalls: ToolCallProgress

    package init(reason: String, isFailure: Bool, wasAlone: Bool, toolCalls: ToolCallProgress = .init()) {
        self.reason = reason
        self.isFailure = isFailure
        self.wasAlone = wasAlone
        self.toolCalls = toolCalls
    }
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
