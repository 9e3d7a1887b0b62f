import BackendIPC
import BackendKit
import CLlama
import LlamaPlanning

// One decode step: plan a batch, compute it, choose a token for every sequence whose prompt is computed, and more for
// those whose drafted tokens are accepted.
extension LlamaEngine {
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace {
        let model = try loadedModel()
        guard model.facts.pooling == HEARTH_LLAMA_NO_POOLING else { return try embed(&step, model) }
        let isTextPending = takeTexts(model, &step)
        let admitted = withRoom(step.sequences)
        let runnable = nextInTurn(admitted)
        let promptTokens = plan(runnable, beside: admitted)
        draftNanoseconds = 0
        if drafts, promptSequences == 0, !skipsDraft {
            guard try draft(step) else { return .again }
        }
        skipsDraft = false
        guard !planned.isEmpty else {
            step.hasProgress = isTextPending && textsProgressed()
            return isTextPending ? .at(nanoseconds: Backend.nowNanoseconds + Limits.textIntervalNanoseconds) : .idle
        }
        if let first = planned.first, let adapters = sequences[first.sequence]?.adapters, !model.apply(adapters) {
            throw EngineFault(.internal, "llama.cpp does not apply the adapters; its log says why")
        }
        fill(model)
        let running = RunningStep(
            sequences: planned.map(\.sequence), promptTokens: promptTokens, company: company(runnable),
            expectedNanoseconds: pace.nanoseconds(promptTokens: promptTokens))
        let began = Backend.nowNanoseconds
        let attend = step.attend
        let news = step.news
        var verdict = RunningStep.Verdict.goOn
        let decoded = model.decode {
            attend()
            let news = news()
            verdict = running.verdict(
                after: Backend.nowNanoseconds &- began, cancelled: news.cancelled, asking: news.asking)
            return verdict == .goOn
        }
        let nanoseconds = Backend.nowNanoseconds &- began
        adapterTurns.took(nanoseconds)
        switch decoded {
        case .done: break
        case .noRoom:
            // Nobody gives way for drafted tokens.
            skipsDraft = planned.contains { !$0.draft.isEmpty }
            if skipsDraft { forgetUnfinished() } else { makeRoom(&step) }
            return .again
        case .cut:
            switch verdict {
            case .goOn, .isUnwanted: break
            case .isInTheWay: pace.wasCut(promptTokens: promptTokens)
            case .isTooSlow: pace.wasTooSlow(nanoseconds, promptTokens: promptTokens)
            }
            forgetUnfinished()
            return .again
        case .failed(let code):
            throw failure(code)
        }
        if promptTokens > 0 {
            pace.took(nanoseconds, promptTokens: promptTokens, running.company)
        } else if drafts {
            noteDraftCost(nanoseconds)
        }
        for share in planned {
            sequences[share.sequence]?.computed += share.tokens
            if share.logitsIndex >= 0 {
                advance(share, model, &step)
                attend()
            }
        }
        return .again
    }

    /// The sequences that are computed with the adapters whose turn it is.
    private mutating func nextInTurn(_ runnable: [Int]) -> [Int] {
        guard !adapters.adapters.isEmpty else { return runnable }
        var sets: [AdapterSet] = []
        for number in runnable {
            guard let set = sequences[number]?.adapters, !sets.contains(set) else { continue }
            sets.append(set)
        }
        guard let turn = adapterTurns.next(among: sets) else { return [] }
        return runnable.filter { sequences[$0]?.adapters == turn }
    }

    /// Those of some sequences that have room for their tokens, or are not tokenized yet.
    private mutating func withRoom(_ runnable: [Int]) -> [Int] {
        if runnable.allSatisfy({ sequences[$0]?.hasRoom ?? true }) { return runnable }
        for number in CacheRoom.admitted(members(runnable), cells: cells) { sequences[number]?.hasRoom = true }
        return runnable.filter { sequences[$0]?.hasRoom ?? true }
    }

    private func members(_ runnable: [Int]) -> [CacheRoom.Member] {
        sequences.compactMap { $0.map { $0.member(isRunnable: runnable.contains($0.number)) } }
    }

    /// The sequences that wait for the step that was planned.
    private func company(_ runnable: [Int]) -> PrefillPace.Company {
        runnable.count == 1 ? .alone : .others(generating: planned.count - promptSequences)
    }

    func failure(_ code: Int32) -> EngineFault {
        let error = LlamaModel.firstError
        if LoadFailure.speaksOfMemory(error) {
            return EngineFault(
                .internal,
                """
                there was no memory to compute a batch (\(LoadFailure.plain(error))); raise memoryMebibytes in the manifest, \
                or lower maxSequences
                """)
        }
        let words = error.isEmpty ? "it did not say why" : LoadFailure.plain(error)
        return EngineFault(.internal, "llama.cpp failed to compute a batch (code \(code)): \(words)")
    }

    /// Divides the batch: one token for each sequence that generates, the rest for new prompts. Returns the number of
    /// prompt tokens in it. `all`: the sequences that could be computed now, with whatever adapters.
    private mutating func plan(_ runnable: [Int], beside all: [Int]) -> Int {
        planned.removeAll(keepingCapacity: true)
        // By cache: the length of the beginning that others wait for.
        var awaited: [Int: Int] = [:]
        for number in runnable where isWaiting(number, runnable) {
            guard let beginning = sequences[number]?.beginning else { continue }
            awaited[beginning.cache] = min(awaited[beginning.cache] ?? .max, beginning.tokens)
        }
        var prompts: [PromptShares.Prompt] = []
        for number in runnable {
            guard let sequence = sequences[number], sequence.beginning == nil else { continue }
            if sequence.computesSingly {
                planned.append(Planned(sequence: number, tokens: 1))
            } else {
                let end = min(awaited[sequence.cache] ?? .max, sequence.together)
                prompts.append(
                    PromptShares.Prompt(
                        sequence: number, arrival: sequence.arrival, tokens: max(1, end - sequence.computed)))
            }
        }
        promptSequences = 0
        guard !prompts.isEmpty else { return 0 }
        let wanted = prompts.reduce(0) { $0 + $1.tokens }
        let room = min(
            pace.room(company(all), wanted: wanted, prompts: prompts.count), Limits.batchTokens - planned.count)
        let shares = PromptShares(room: room, among: prompts).tokens
        for (sequence, tokens) in shares { planned.append(Planned(sequence: sequence, tokens: tokens)) }
        promptSequences = shares.count
        // llama.cpp computes neighbouring caches together only when they come in order.
        planned.sort { (sequences[$0.sequence]?.cache ?? 0) < (sequences[$1.sequence]?.cache ?? 0) }
        return shares.values.reduce(0, +)
    }

    /// Takes over the beginning that an earlier sequence computes once it is there; returns whether it is still
    /// awaited.
    private mutating func isWaiting(_ number: Int, _ runnable: [Int]) -> Bool {
        guard let beginning = sequences[number]?.beginning else { return false }
        let earlier = sequences.firstIndex { $0?.cache == beginning.cache }
        return !takeOver(
            number, computed: earlier.flatMap { sequences[$0]?.computed },
            goesOn: earlier.map(runnable.contains) ?? false)
    }

    /// Takes over the tokens of a shared beginning that the earlier sequence has computed; returns false while they are
    /// awaited.
    @discardableResult
    private mutating func takeOver(_ number: Int, computed: Int?, goesOn: Bool) -> Bool {
        guard let sequence = sequences[number], let beginning = sequence.beginning else { return true }
        switch beginning.next(computed: computed, goesOn: goesOn, held: sequence.computed) {
        case .wait: return false
        case .take(let tokens):
            let isCopied = copy(cache: beginning.cache, to: sequence.cache, tokens: tokens)
            sequences[number]?.take(isCopied ? tokens : 0)
        case .compute: sequences[number]?.beginning = nil
        }
        return true
    }

    /// A sequence ends: those that wait for its beginning take over the computed part.
    mutating func handOver(cache: Int, computed: Int?) {
        for number in sequences.indices where sequences[number]?.beginning?.cache == cache {
            takeOver(number, computed: computed, goesOn: false)
        }
    }

    /// Forgets the tokens of a batch that was not computed to its end, because it is unknown which of them the caches hold,
    /// and those that were drafted for it.
    private mutating func forgetUnfinished() {
        for share in planned {
            guard let sequence = sequences[share.sequence] else { continue }
            if !forget(cache: sequence.cache, from: sequence.computed) { sequences[share.sequence]?.computed = 0 }
        }
    }

    /// Puts the planned tokens into the batch. Only the last known token of a sequence, and those drafted behind it, get
    /// logits.
    private mutating func fill(_ model: LlamaModel) {
        model.clearBatch()
        for index in planned.indices {
            guard let sequence = sequences[planned[index].sequence] else { continue }
            var added = 0
            while added < planned[index].tokens {
                let position = sequence.computed + added
                let isLast = position == sequence.tokens.count - 1
                guard
                    let place = model.add(
                        sequence.tokens[position], position: position, cache: sequence.cache, wantsLogits: isLast)
                else { break }
                added += 1
                if isLast { planned[index].logitsIndex = place }
            }
            // A context smaller than the batch makes the batch smaller; the rest waits for the next step.
            planned[index].tokens = added
            guard planned[index].logitsIndex >= 0 else { continue }
            let draft = planned[index].draft
            let taken = draft.enumerated().prefix { offset, token in
                model.add(token, position: sequence.tokens.count + offset, cache: sequence.cache, wantsLogits: true)
                    != nil
            }
            planned[index].draft = draft.prefix(taken.count)
        }
    }

    /// Chooses a sequence's next token, and one more for each drafted token that is the chosen one: those are the tokens
    /// that would have been chosen without a draft, because each is drawn by the sequence's own sampler. What was computed
    /// behind them is forgotten.
    private mutating func advance(_ share: Planned, _ model: LlamaModel, _ step: inout Step) {
        let number = share.sequence
        guard hear(number, model, &step) else { return }
        guard let sequence = sequences[number] else { return }
        if !share.draft.isEmpty { step.noteDraft(number, tokens: share.draft.count, accepted: 0) }
        var accepted = 0
        for (offset, expected) in share.draft.enumerated() {
            let index = share.logitsIndex + Int32(offset)
            guard choose(number, logitsIndex: index, expected: expected, model, &step) else { break }
            accepted += 1
        }
        if accepted == share.draft.count {
            let index = share.logitsIndex + Int32(accepted)
            _ = choose(number, logitsIndex: index, expected: nil, model, &step)
        } else if !forget(cache: sequence.cache, from: sequence.computed + accepted) {
            sequences[number]?.computed = 0
        }
        noteDraftLength(share, accepted: accepted)
    }

    /// Tells the sampler and the answer of the tokens that an earlier process has sent, so that both go on where those of that
    /// process stood; what they make of them was sent. Returns whether the sequence goes on.
    private mutating func hear(_ number: Int, _ model: LlamaModel, _ step: inout Step) -> Bool {
        guard let sequence = sequences[number] else { return false }
        guard sequence.unheard > 0 else { return true }
        let attend = step.attend
        for token in sequence.tokens.suffix(sequence.unheard) {
            switch model.take(token, by: sequence.sampler) {
            case .taken: break
            case .unfit:
                fail(
                    number, .invalidArgument,
                    "generated_token_ids are not such as format, or the calls of tools, allow; begin anew", &step)
                return false
            case .exceeds:
                fail(number, .invalidArgument, LlamaModel.exceeds, &step)
                return false
            case .failed:
                fail(number, .internal, "no token could be taken; the backend's log says why", &step)
                return false
            }
            if let answer = sequence.answer {
                model.withPiece(of: token, in: answer.parserPointer) { answer.append($0) }
                answer.take(bytesMax: ContractLimits.tokenTextBytesMax) { _, _, _ in }
            }
            // A long text that is held to a form takes a while.
            attend()
        }
        sequences[number]?.unheard = 0
        if let ending = sequence.answer?.ending ?? (sequence.isOver ? .endOfTurn : nil) {
            finish(number, ending, &step)
            return false
        }
        return true
    }

    /// Chooses a sequence's next token and emits it, or ends the sequence. Returns whether the token is the expected one,
    /// which is computed already, and the sequence goes on.
    private mutating func choose(
        _ number: Int, logitsIndex: Int32, expected: Int32?, _ model: LlamaModel, _ step: inout Step
    ) -> Bool {
        guard let sequence = sequences[number] else { return false }
        let token: Int32
        switch model.sample(sequence.sampler, at: logitsIndex) {
        case .token(let chosen): token = chosen
        case .formIsOver:
            finish(number, .endOfTurn, &step)
            return false
        case .formIsStuck:
            fail(
                number, .invalidArgument,
                "no token of \"\(modelID)\" goes on with the text as format wants it; allow other characters", &step)
            return false
        case .formExceeds:
            fail(number, .invalidArgument, LlamaModel.exceeds, &step)
            return false
        case .notANumber:
            fail(
                number, .internal,
                """
                "\(modelID)" computed something that is no number, so no token can be chosen; its weights are damaged, or \
                made for another arithmetic
                """, &step)
            return false
        case .failed:
            fail(number, .internal, "no token could be chosen; the backend's log says why", &step)
            return false
        }
        let id = UInt32(bitPattern: token)
        if sequence.stopTokenIDs.contains(id) {
            finish(number, .stopToken(id), &step)
            return false
        }
        if !sequence.ignoresEndOfTurn, model.endsTurn(token) {
            finish(number, .endOfTurn, &step)
            return false
        }
        let logprobs = sequence.logprobs.map { model.logprobs(of: token, at: logitsIndex, alternatives: $0) }
        emit(token, of: number, sequence.answer, logprobs, model, &step)
        sequences[number]?.tokens.append(token)
        let isExpected = token == expected
        if isExpected { step.noteDraft(number, tokens: 0, accepted: 1) }
        if let ending = sequence.answer?.ending {
            finish(number, ending, &step)
            return false
        }
        if sequence.isOver {
            finish(number, .endOfTurn, &step)
            return false
        }
        guard sequence.tokens.count + 1 < sequence.tokensMax else {
            finish(number, .length, &step)
            return false
        }
        if isExpected { sequences[number]?.computed += 1 }
        return isExpected
    }

    private func emit(
        _ token: Int32, of number: Int, _ answer: AnswerText?, _ logprobs: TokenLogprobs?, _ model: LlamaModel,
        _ step: inout Step
    ) {
        let id = UInt32(bitPattern: token)
        guard let answer else {
            return model.withPiece(of: token, in: nil) {
                step.emit(number, token: id, text: $0, logprobs: logprobs)
            }
        }
        model.withPiece(of: token, in: answer.parserPointer) { answer.append($0) }
        answer.take(bytesMax: ContractLimits.tokenTextBytesMax) {
            step.emit(number, token: id, text: $0, reasoning: $1, logprobs: logprobs, toolCalls: $2)
        }
    }

    private mutating func finish(_ number: Int, _ ending: Ending, _ step: inout Step) {
        guard let ended = release(number) else { return }
        guard let answer = ended.answer else { return step.finish(number, ending, prompt: ended.promptTokens) }
        answer.end()
        if case .endOfTurn = ending, let name = answer.unfinishedCall {
            let fault = EngineFault(
                .internal, "the model began a call of the tool \"\(name)\" and did not write it to its end; try again")
            return step.fail(number, fault, prompt: ended.promptTokens)
        }
        answer.take(bytesMax: ContractLimits.finishTextBytesMax) {
            step.finish(number, ending, prompt: ended.promptTokens, text: $0, reasoning: $1, toolCalls: $2)
        }
    }

    /// Ends a sequence with a fault, and forgets its computed tokens.
    private mutating func fail(_ number: Int, _ code: EngineFault.Code, _ sentence: String, _ step: inout Step) {
        guard let ended = discard(number) else { return }
        step.fail(number, EngineFault(code, sentence), prompt: ended.promptTokens)
    }

    /// A batch found no cells. Empties the idle cache that was used longest ago; when there is none, a sequence gives way,
    /// and computes its tokens again when there is room. One that is alone ends: the model then keeps more than the cells of
    /// its context.
    private mutating func makeRoom(_ step: inout Step) {
        if let idle = caches.emptyOldest() {
            forget(cache: idle, from: 0)
            return
        }
        if let number = CacheRoom.givingWay(members(step.sequences)), let sequence = sequences[number] {
            sequences[number]?.giveWay()
            handOver(cache: sequence.cache, computed: nil)
            forget(cache: sequence.cache, from: 0)
            return
        }
        guard let number = planned.first?.sequence, let ended = discard(number) else { return }
        step.fail(
            number,
            EngineFault(
                .overloaded,
                "the caches of \"\(modelID)\" have no room for more of this; shorten the prompt, or ask for fewer tokens"
            ),
            prompt: ended.promptTokens)
    }
}
