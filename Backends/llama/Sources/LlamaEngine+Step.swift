import BackendIPC
import BackendKit
import LlamaPlanning

// One decode step: plan a batch, compute it, choose a token for every sequence whose prompt is computed.
extension LlamaEngine {
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace {
        let model = try loadedModel()
        let isTextPending = takeTexts(model, &step)
        let runnable = withRoom(step.sequences)
        let promptTokens = plan(runnable, model)
        guard !planned.isEmpty else {
            step.hasProgress = isTextPending && textsProgressed()
            return isTextPending ? .at(nanoseconds: Backend.nowNanoseconds + Limits.textIntervalNanoseconds) : .idle
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
        switch decoded {
        case .done: break
        case .noRoom:
            makeRoom(model, &step)
            return .again
        case .cut:
            switch verdict {
            case .goOn, .isUnwanted: break
            case .isInTheWay: pace.wasCut(promptTokens: promptTokens)
            case .isTooSlow: pace.wasTooSlow(nanoseconds, promptTokens: promptTokens)
            }
            forgetUnfinished(model)
            return .again
        case .failed(let code):
            throw failure(code)
        }
        if promptTokens > 0 { pace.took(nanoseconds, promptTokens: promptTokens, running.company) }
        for share in planned {
            sequences[share.sequence]?.computed += share.tokens
            if share.logitsIndex >= 0 {
                advance(share.sequence, logitsIndex: share.logitsIndex, model, &step)
                attend()
            }
        }
        return .again
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

    private func failure(_ code: Int32) -> EngineFault {
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
    /// prompt tokens in it.
    private mutating func plan(_ runnable: [Int], _ model: LlamaModel) -> Int {
        planned.removeAll(keepingCapacity: true)
        // By cache: the length of the beginning that others wait for.
        var awaited: [Int: Int] = [:]
        for number in runnable where isWaiting(number, runnable, model) {
            guard let beginning = sequences[number]?.beginning else { continue }
            awaited[beginning.cache] = min(awaited[beginning.cache] ?? .max, beginning.tokens)
        }
        var prompts: [PromptShares.Prompt] = []
        for number in runnable {
            guard let sequence = sequences[number], sequence.beginning == nil else { continue }
            if sequence.uncomputed == 1 {
                planned.append(Planned(sequence: number, tokens: 1))
            } else {
                let end = min(awaited[sequence.cache] ?? .max, sequence.tokens.count)
                prompts.append(
                    PromptShares.Prompt(
                        sequence: number, arrival: sequence.arrival, tokens: max(1, end - sequence.computed)))
            }
        }
        promptSequences = 0
        guard !prompts.isEmpty else { return 0 }
        let wanted = prompts.reduce(0) { $0 + $1.tokens }
        let room = min(pace.room(company(runnable), wanted: wanted), Limits.batchTokens - planned.count)
        let shares = PromptShares(room: room, among: prompts).tokens
        for (sequence, tokens) in shares { planned.append(Planned(sequence: sequence, tokens: tokens)) }
        promptSequences = shares.count
        // llama.cpp computes neighbouring caches together only when they come in order.
        planned.sort { (sequences[$0.sequence]?.cache ?? 0) < (sequences[$1.sequence]?.cache ?? 0) }
        return shares.values.reduce(0, +)
    }

    /// Takes over the beginning that an earlier sequence computes once it is there; returns whether it is still
    /// awaited.
    private mutating func isWaiting(_ number: Int, _ runnable: [Int], _ model: LlamaModel) -> Bool {
        guard let beginning = sequences[number]?.beginning else { return false }
        let earlier = sequences.firstIndex { $0?.cache == beginning.cache }
        return !takeOver(
            number, computed: earlier.flatMap { sequences[$0]?.computed },
            goesOn: earlier.map(runnable.contains) ?? false, model)
    }

    /// Takes over the tokens of a shared beginning that the earlier sequence has computed; returns false while they are
    /// awaited.
    @discardableResult
    private mutating func takeOver(_ number: Int, computed: Int?, goesOn: Bool, _ model: LlamaModel) -> Bool {
        guard let sequence = sequences[number], let beginning = sequence.beginning else { return true }
        switch beginning.next(computed: computed, goesOn: goesOn, held: sequence.computed) {
        case .wait: return false
        case .take(let tokens):
            sequences[number]?.take(model.copy(cache: beginning.cache, to: sequence.cache, tokens: tokens) ? tokens : 0)
        case .compute: sequences[number]?.beginning = nil
        }
        return true
    }

    /// A sequence ends: those that wait for its beginning take over the computed part.
    mutating func handOver(cache: Int, computed: Int?) {
        guard let model else { return }
        for number in sequences.indices where sequences[number]?.beginning?.cache == cache {
            takeOver(number, computed: computed, goesOn: false, model)
        }
    }

    /// Forgets the tokens of a batch that was cut, because it is unknown which of them the caches hold.
    private mutating func forgetUnfinished(_ model: LlamaModel) {
        for share in planned {
            guard let sequence = sequences[share.sequence] else { continue }
            if !model.forget(cache: sequence.cache, from: sequence.computed) { sequences[share.sequence]?.computed = 0 }
        }
    }

    /// Puts the planned tokens into the batch. Only the last known token of a sequence gets logits.
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
        }
    }

    /// Chooses a sequence's next token and emits it, or ends the sequence.
    private mutating func advance(
        _ number: Int, logitsIndex: Int32, _ model: LlamaModel, _ step: inout Step
    ) {
        guard let sequence = sequences[number] else { return }
        let token: Int32
        switch model.sample(sequence.sampler, at: logitsIndex) {
        case .token(let chosen): token = chosen
        case .notANumber:
            return fail(
                number,
                """
                "\(modelID)" computed something that is no number, so no token can be chosen; its weights are damaged, or \
                made for another arithmetic
                """, &step)
        case .failed: return fail(number, "no token could be chosen; the backend's log says why", &step)
        }
        let id = UInt32(bitPattern: token)
        if sequence.stopTokenIDs.contains(id) { return finish(number, .stopToken(id), &step) }
        if !sequence.ignoresEndOfTurn, model.endsTurn(token) { return finish(number, .endOfTurn, &step) }
        emit(token, of: number, sequence.answer, model, &step)
        sequences[number]?.tokens.append(token)
        if let ending = sequence.answer?.ending { return finish(number, ending, &step) }
        if sequence.tokens.count + 1 >= sequence.tokensMax { finish(number, .length, &step) }
    }

    private func emit(
        _ token: Int32, of number: Int, _ answer: AnswerText?, _ model: LlamaModel, _ step: inout Step
    ) {
        let id = UInt32(bitPattern: token)
        guard let answer else {
            return model.withPiece(of: token, showsMarks: false) { step.emit(number, token: id, text: $0) }
        }
        model.withPiece(of: token, showsMarks: answer.showsMarks) { answer.append($0) }
        answer.take(bytesMax: ContractLimits.tokenTextBytesMax) {
            step.emit(number, token: id, text: $0, reasoning: $1)
        }
    }

    private mutating func finish(_ number: Int, _ ending: Ending, _ step: inout Step) {
        guard let ended = release(number) else { return }
        guard let answer = ended.answer else { return step.finish(number, ending, prompt: ended.promptTokens) }
        answer.end()
        answer.take(bytesMax: ContractLimits.finishTextBytesMax) {
            step.finish(number, ending, prompt: ended.promptTokens, text: $0, reasoning: $1)
        }
    }

    /// Ends a sequence with an INTERNAL fault, and forgets its computed tokens.
    private mutating func fail(_ number: Int, _ sentence: String, _ step: inout Step) {
        guard let ended = discard(number) else { return }
        step.fail(number, EngineFault(.internal, sentence), prompt: ended.promptTokens)
    }

    /// A batch found no cells. Empties the idle cache that was used longest ago; when there is none, a sequence gives way,
    /// and computes its tokens again when there is room. One that is alone ends: the model then keeps more than the cells of
    /// its context.
    private mutating func makeRoom(_ model: LlamaModel, _ step: inout Step) {
        if let idle = caches.emptyOldest() {
            _ = model.forget(cache: idle, from: 0)
            return
        }
        if let number = CacheRoom.givingWay(members(step.sequences)), let sequence = sequences[number] {
            sequences[number]?.giveWay()
            handOver(cache: sequence.cache, computed: nil)
            _ = model.forget(cache: sequence.cache, from: 0)
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
