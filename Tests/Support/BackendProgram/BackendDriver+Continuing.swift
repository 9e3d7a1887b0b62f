package import BackendDriver
internal import BackendIPC

extension BackendDriver {
    /// A completion in two sequences: the first ends after so many tokens, as with its process, and the second goes on behind
    /// them. All that came of both, with the finish of the second.
    package func completeInTwo(_ request: [UInt8], after count: Int, as sequence: UInt32 = 0) throws -> Completion {
        try start(sequence, request, credit: UInt32(count))
        try listen { $0.completions[sequence]?.tokens.count == count }
        var joined = completions[sequence] ?? Completion()
        try say(.cancel(Cancel(sequence: sequence)))
        _ = try finish(sequence)
        try start(sequence, request, behind: joined.tokens)
        let rest = try finish(sequence)
        joined.tokens += rest.tokens
        joined.runs += rest.runs
        joined.reasoningBytes += rest.reasoningBytes
        joined.logprobBytes += rest.logprobBytes
        joined.toolCallBytes += rest.toolCallBytes
        joined.finish = rest.finish
        return joined
    }
}

extension Completion {
    /// Everything but the number of its runs, which depends on when it was asked for.
    package func isSame(as other: Completion) -> Bool {
        tokens == other.tokens && bytes == other.bytes && reasoningBytes == other.reasoningBytes
            && logprobBytes == other.logprobBytes && toolCallBytes == other.toolCallBytes && finish == other.finish
    }
}
