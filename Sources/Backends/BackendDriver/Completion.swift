package import BackendIPC

/// What came for one sequence since its start.
package struct Completion: Equatable, Sendable {
    package var tokens: [UInt32] = []
    /// The text of each run; a run may begin and end within a scalar.
    package var runs: [[UInt8]] = []
    /// The reasoning of all runs, likewise.
    package var reasoningBytes: [UInt8] = []
    /// The log-probabilities of all runs, as the content of a `hearth.v1.Logprobs`.
    package var logprobBytes: [UInt8] = []
    /// The pieces of its tool calls, as the content of a `hearth.v1.ToolCallPieces`.
    package var toolCallBytes: [UInt8] = []
    /// Nil: it runs.
    package var finish: Finish?

    package init() {}

    package var bytes: [UInt8] { Array(runs.joined()) }
    /// With U+FFFD for what is no UTF-8.
    package var text: String { String(decoding: bytes, as: UTF8.self) }
    package var reasoning: String { String(decoding: reasoningBytes, as: UTF8.self) }

    /// Why it ended; nil: it runs, or it failed.
    package var reason: FinishReason? {
        if case .reason(let reason)? = finish?.outcome { return reason }
        return nil
    }

    /// What it failed with.
    package var fault: Fault? {
        if case .fault(let fault)? = finish?.outcome { return fault }
        return nil
    }

    /// What came behind another one, which is its beginning.
    package func behind(_ beginning: Completion) -> Completion {
        var rest = Completion()
        rest.tokens = Array(tokens.dropFirst(beginning.tokens.count))
        rest.runs = Array(runs.dropFirst(beginning.runs.count))
        rest.reasoningBytes = Array(reasoningBytes.dropFirst(beginning.reasoningBytes.count))
        rest.logprobBytes = Array(logprobBytes.dropFirst(beginning.logprobBytes.count))
        rest.toolCallBytes = Array(toolCallBytes.dropFirst(beginning.toolCallBytes.count))
        rest.finish = finish
        return rest
    }

    mutating func add(_ run: TokenRunView) {
        tokens += run.tokenIDs
        runs.append(Array(run.text))
        let rare = run.rare
        reasoningBytes += rare.reasoning
        logprobBytes += rare.logprobs
        toolCallBytes += rare.toolCalls
        finish = run.finish
    }
}
