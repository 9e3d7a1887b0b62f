import BackendKit

// One decode step: plan a batch, compute it, choose a token for every sequence whose prompt is computed.
extension LlamaEngine {
    mutating func step(_ step: inout Step) throws(EngineFault) -> Pace {
        let model = try loadedModel()
        let prefills = plan(step.sequences)
        guard !planned.isEmpty else { return .idle }
        fill(model)
        let began = prefills ? Backend.nowNanoseconds : 0
        switch model.decode() {
        case .done: break
        case .noRoom:
            makeRoom(&step)
            return .again
        case .failed(let code):
            throw EngineFault(.internal, "llama.cpp failed to compute a batch (code \(code)); its log says why")
        }
        if prefills { followTime(Backend.nowNanoseconds &- began) }
        for share in planned {
            sequences[share.sequence]?.computed += share.tokens
            if share.logitsIndex >= 0 { advance(share.sequence, logitsIndex: share.logitsIndex, model, &step) }
        }
        return .again
    }

    /// Shares the batch out: one token to each sequence that generates, the rest to new prompts in order of arrival.
    /// True when some prompt has a share.
    private mutating func plan(_ runnable: [Int]) -> Bool {
        planned.removeAll(keepingCapacity: true)
        var prompts: [(arrival: UInt64, sequence: Int)] = []
        for number in runnable {
            guard let sequence = sequences[number] else { continue }
            if sequence.uncomputed == 1 {
                planned.append(Planned(sequence: number, tokens: 1))
            } else {
                prompts.append((sequence.arrival, number))
            }
        }
        var left = min(prefillTokens, Limits.batchTokens - planned.count)
        prompts.sort { $0.arrival < $1.arrival }
        for (_, number) in prompts where left > 0 {
            let tokens = min(left, sequences[number]?.uncomputed ?? 0)
            planned.append(Planned(sequence: number, tokens: tokens))
            left -= tokens
        }
        // llama.cpp computes neighbouring caches together only when they come in order.
        planned.sort { (sequences[$0.sequence]?.cache ?? 0) < (sequences[$1.sequence]?.cache ?? 0) }
        return !prompts.isEmpty
    }

    /// Puts what was planned into the batch. Logits only after the last known token of a sequence.
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
        guard let token = model.sample(sequence.sampler, at: logitsIndex) else {
            step.fail(
                number, EngineFault(.internal, "no token could be chosen; the backend's log says why"),
                prompt: sequence.promptTokens)
            release(number)
            return
        }
        let id = UInt32(bitPattern: token)
        if sequence.stopTokenIDs.contains(id) { return finish(number, .stopToken(id), &step) }
        if !sequence.ignoresEndOfTurn, model.endsTurn(token) { return finish(number, .endOfTurn, &step) }
        model.withPiece(of: token) { step.emit(number, token: id, text: $0) }
        sequences[number]?.tokens.append(token)
        if sequence.tokens.count + 1 >= sequence.tokensMax { finish(number, .length, &step) }
    }

    private mutating func finish(_ number: Int, _ ending: Ending, _ step: inout Step) {
        guard let ended = release(number) else { return }
        step.finish(number, ending, prompt: ended.promptTokens)
    }

    /// The caches are full, though each sequence has its share: a model with more state than its context. The youngest
    /// sequence gives way.
    private mutating func makeRoom(_ step: inout Step) {
        let numbers = planned.map(\.sequence)
        guard let youngest = numbers.max(by: { (sequences[$0]?.arrival ?? 0) < (sequences[$1]?.arrival ?? 0) }),
            let ended = release(youngest)
        else { return }
        _ = model?.forget(cache: ended.cache, from: 0)
        caches.forget(ended.cache)
        step.fail(
            youngest, EngineFault(.overloaded, "the model's memory is full; try again when others have finished"),
            prompt: ended.promptTokens)
    }

    /// Lets a step compute more of the prompts while that is quick, and less while it is slow.
    private mutating func followTime(_ nanoseconds: UInt64) {
        if nanoseconds > Limits.prefillStepNanoseconds {
            prefillTokens = max(Limits.prefillTokensMin, prefillTokens / 2)
        } else if nanoseconds < Limits.prefillStepNanoseconds / 4 {
            prefillTokens = min(Limits.batchTokens, prefillTokens * 2)
        }
    }
}
