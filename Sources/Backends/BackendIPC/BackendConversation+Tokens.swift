internal import WireFormat

// Tokens.
extension BackendConversation {
    /// The next run of a batch, decoded in place and checked against the sequence's credit; nil after the last.
    /// Allocates nothing unless the run ends with a fault or breaks the contract.
    package mutating func next(_ batch: inout TokenBatchView) throws(ContractViolation) -> TokenRunView? {
        let run: TokenRunView?
        do throws(WireError) {
            run = try batch.next()
        } catch {
            throw ContractViolation(error, in: "a TokenRun")
        }
        guard let run else {
            guard batch.runs > 0 else {
                throw ContractViolation(
                    .noEmptyRun, "a TokenBatch holds no run; when a step gives nothing, send nothing")
            }
            return nil
        }
        // A finish is large, and no token pays for its copies.
        if run.finishStart != nil {
            try backendEnded(run, run.finish ?? Finish(.unspecified))
        } else {
            try backendRan(run)
        }
        return run
    }

    /// Checks one run against the contract and takes its tokens off the credit.
    package mutating func backendRan(_ run: TokenRun) throws(ContractViolation) {
        if let finish = run.finish { try backendEnded(run.view, finish) } else { try backendRan(run.view) }
    }

    @inline(__always)
    private mutating func backendRan(_ run: borrowing TokenRunView) throws(ContractViolation) {
        _ = try check(run, isLast: false)
        guard run.tokenCount > 0 else {
            throw ContractViolation(
                .noEmptyRun,
                "the sequence \(run.sequence) sent a TokenRun without tokens and without finish")
        }
        sequences.spend(run.sequence, tokens: UInt32(truncatingIfNeeded: run.tokenCount))
    }

    @inline(never)
    private mutating func backendEnded(_ run: TokenRunView, _ finish: Finish) throws(ContractViolation) {
        let entry = try check(run, isLast: true)
        try check(finish, of: run.sequence, entry, tokens: entry.tokens + UInt64(run.tokenCount))
        sequences.end(run.sequence)
    }

    /// Checks what holds for every run.
    @inline(__always)
    private mutating func check(
        _ run: borrowing TokenRunView, isLast: Bool
    ) throws(ContractViolation) -> SequenceTable.Entry {
        let sequence = run.sequence
        guard let entry = sequences[sequence] else {
            throw ContractViolation(
                .runningSequence,
                "a TokenRun names the sequence \(sequence); \(sequences.count) were offered, counted from 0")
        }
        guard entry.isRunning else {
            throw ContractViolation(
                .runningSequence,
                "a TokenRun came for the sequence \(sequence), which is not running (never started, or finished)")
        }
        guard run.tokenCount <= Int(entry.credit) else {
            throw ContractViolation(
                .credit,
                "the sequence \(sequence) sent \(run.tokenCount) tokens with a credit of \(entry.credit);"
                    + " without credit compute nothing")
        }
        try checkLength(of: sequence, entry, with: run.tokenCount)
        // No sum overflows: there are at most as many tokens as a UInt32 counts, and as many bytes as a frame has.
        var textBytes = run.text.count
        if !run.isPlain || sequences.withLogprobs > 0 {
            textBytes &+= try Self.checkRare(
                sequence, run.tokenCount, run.packedTokenIDs, run.rare, mayReason: tellsReasoning, &sequences)
        }
        let textBytesMax =
            run.tokenCount &* ContractLimits.tokenTextBytesMax &+ (isLast ? ContractLimits.finishTextBytesMax : 0)
        guard textBytes <= textBytesMax else {
            throw ContractViolation(
                .textLength,
                "the sequence \(sequence) sent \(textBytes) bytes of text for \(run.tokenCount) tokens; at most"
                    + " \(ContractLimits.tokenTextBytesMax) a token, and \(ContractLimits.finishTextBytesMax) with a finish"
            )
        }
        let parts = max(run.tokenCount &+ (isLast ? 1 : 0), 1)
        guard Int(run.unknownBytes) <= parts &* ContractLimits.unknownBytesMax else {
            throw ContractViolation(
                .unknownFields,
                "the sequence \(sequence) sent \(run.unknownBytes) bytes of fields that this revision does not know for"
                    + " \(run.tokenCount) tokens; at most \(ContractLimits.unknownBytesMax) a token")
        }
        return entry
    }

    /// Checks what most runs do not have, and returns how many bytes of text it holds. A method of the conversation, which is
    /// not inlined, would have it copied for every run, and the run itself as an argument would lie in memory.
    @inline(never)
    private static func checkRare(
        _ sequence: UInt32, _ tokenCount: Int, _ packedTokenIDs: UnsafeRawBufferPointer, _ rare: RareParts,
        mayReason: Bool, _ sequences: inout SequenceTable
    ) throws(ContractViolation) -> Int {
        if rare.reasoning.count > 0, !mayReason {
            throw ContractViolation(
                .reasoning,
                "the sequence \(sequence) sent reasoning, and Hello did not name the capability \"\(Hello.reasoning)\"")
        }
        if let alternatives = sequences.logprobs(of: sequence) {
            let flaw = TokenLogprob.flaw(
                in: rare.logprobs, ofTokens: packedTokenIDs, count: tokenCount, alternativesMax: alternatives)
            if let flaw { throw ContractViolation(.logprobs, "the sequence \(sequence) sent \(flaw)") }
        } else if rare.logprobs.count > 0 {
            throw ContractViolation(.logprobs, "the sequence \(sequence) sent log-probabilities that nobody asked for")
        }
        if rare.toolCalls.count > 0, let flaw = sequences.flaw(in: rare.toolCalls, of: sequence) {
            throw ContractViolation(.toolCalls, "the sequence \(sequence) sent \(flaw)")
        }
        return rare.reasoning.count &+ rare.toolCalls.count
    }

    /// Checks that there are no more tokens than the request allows, nor more than fit in the context.
    @inline(__always)
    private func checkLength(
        of sequence: UInt32, _ entry: SequenceTable.Entry, with more: Int
    ) throws(ContractViolation) {
        let tokens = entry.tokens + UInt64(more)
        if let tokensMax = entry.tokensMax, tokens > UInt64(tokensMax) {
            throw ContractViolation(
                .maxTokens,
                "the sequence \(sequence) sent \(tokens) tokens of at most \(tokensMax), its stopping.max_tokens")
        }
        guard tokens <= contextTokens else {
            throw ContractViolation(
                .context,
                "the sequence \(sequence) sent \(tokens) tokens in a context of \(contextTokens), its"
                    + " Loaded.max_context_tokens")
        }
    }

    var contextTokens: UInt64 { UInt64(loaded?.maxContextTokens ?? 0) }

    /// - Parameter tokens: the tokens of the whole completion.
    private func check(
        _ finish: Finish, of sequence: UInt32, _ entry: SequenceTable.Entry, tokens: UInt64
    ) throws(ContractViolation) {
        try checkCounts(finish, of: sequence, tokens: tokens)
        try checkStopToken(finish, of: sequence)
        try checkStop(finish, of: sequence)
        switch finish.outcome {
        case .unspecified:
            throw ContractViolation(
                .finishReason, "the sequence \(sequence) finished without a reason that this revision knows")
        case .reason(.cancelled) where !entry.cancelSent && !isShuttingDown:
            throw ContractViolation(
                .cancelled, "the sequence \(sequence) finished as cancelled, but no Cancel was sent for it")
        case .reason(.length):
            let isFull =
                UInt64(finish.promptTokens) + tokens + UInt64(ContractLimits.contextSlackTokens) >= contextTokens
            guard isFull || entry.tokensMax.map({ tokens >= UInt64($0) }) == true else {
                throw ContractViolation(
                    .length,
                    "the sequence \(sequence) finished for its length after \(tokens) tokens; neither its"
                        + " stopping.max_tokens nor the end of the context was reached")
            }
        case .reason(.stop) where finish.stop == nil && finish.stopTokenID == nil:
            guard sequences.hasWholeCalls(sequence) else {
                throw ContractViolation(
                    .toolCalls,
                    "the sequence \(sequence) finished with FINISH_REASON_STOP within the arguments of a tool call")
            }
        case .fault(let fault): try check(fault)
        case .reason: break
        }
    }

    private func checkStopToken(_ finish: Finish, of sequence: UInt32) throws(ContractViolation) {
        guard let id = finish.stopTokenID else { return }
        guard case .reason(.stop) = finish.outcome else {
            throw ContractViolation(
                .stopToken,
                "the sequence \(sequence) finished with a stop_token_id, and not with FINISH_REASON_STOP")
        }
        guard sequences.isStopToken(id, of: sequence) else {
            throw ContractViolation(
                .stopToken,
                "the sequence \(sequence) finished at the stop token \(id), which is none of its"
                    + " stopping.stop_token_ids")
        }
    }

    private func checkStop(_ finish: Finish, of sequence: UInt32) throws(ContractViolation) {
        guard let stop = finish.stop else { return }
        guard matchesStops else {
            throw ContractViolation(
                .stopString,
                "the sequence \(sequence) finished with a stop, and Hello did not name the capability"
                    + " \"\(Hello.stopStrings)\"")
        }
        guard case .reason(.stop) = finish.outcome, finish.stopTokenID == nil else {
            throw ContractViolation(
                .stopString,
                "the sequence \(sequence) finished with a stop, and not with FINISH_REASON_STOP alone")
        }
        let count = sequences.stopCount(of: sequence)
        guard stop < UInt32(clamping: count) else {
            throw ContractViolation(
                .stopString,
                "the sequence \(sequence) finished at the string \(stop) of its stopping.stop, counted from 0; it has"
                    + " \(count)")
        }
    }

    /// Checks the counts that a consumer is charged for. A prompt that was refused because it does not fit is reported
    /// with its true length.
    private func checkCounts(_ finish: Finish, of sequence: UInt32, tokens: UInt64) throws(ContractViolation) {
        if case .reason = finish.outcome, UInt64(finish.promptTokens) + tokens > contextTokens {
            throw ContractViolation(
                .context,
                "the sequence \(sequence) finished with \(finish.promptTokens) prompt tokens and \(tokens) of the"
                    + " completion in a context of \(contextTokens), its Loaded.max_context_tokens")
        }
        guard finish.cachedPromptTokens <= finish.promptTokens else {
            throw ContractViolation(
                .counts,
                "the sequence \(sequence) finished with \(finish.cachedPromptTokens) cached prompt tokens"
                    + " of \(finish.promptTokens)")
        }
        guard finish.acceptedDraftTokens <= finish.draftedTokens, UInt64(finish.acceptedDraftTokens) <= tokens else {
            throw ContractViolation(
                .counts,
                "the sequence \(sequence) finished with \(finish.acceptedDraftTokens) accepted tokens of"
                    + " \(finish.draftedTokens) that were drafted, and \(tokens) that were sent")
        }
    }
}
