import BackendKit
import CLlama
import LlamaPlanning

/// A second, smaller model that drafts tokens for the sequences of the first.
struct Drafter {
    let model: LlamaModel
    var caches: DraftCaches
    var pace = CatchUpPace()
    /// The ids of tokens that both models have are below this.
    let tokenBound: Int32
    /// It drafts within the context that it was trained for.
    let contextTokens: Int

    /// - Parameter count: the number of caches that it was prepared with.
    init(_ draft: LlamaModel, for model: LlamaModel, count: Int) {
        self.model = draft
        caches = DraftCaches(count: count)
        tokenBound = Int32(clamping: min(draft.facts.vocabulary, model.facts.vocabulary))
        contextTokens = draft.facts.context_tokens > 0 ? Int(draft.facts.context_tokens) : .max
    }
}

// Drafted tokens, which are verified in the step: from the sequence itself, or from a draft model.
extension LlamaEngine {
    /// Whether tokens are drafted.
    var drafts: Bool { !draftCosts.isEmpty }

    /// Drafts tokens for the sequences that generate, where they are few. Returns false when nobody wants them any more.
    mutating func draft(_ step: borrowing Step) throws(EngineFault) -> Bool {
        let count = planned.count
        // A step without drafts is due for all sources together.
        guard step.sequences.count <= DraftCost.sequencesMax,
            draftCosts.values.allSatisfy({ $0.chance(sequences: count) != nil })
        else { return true }
        if let worth = draftCosts[.lookup]?.chance(sequences: count) { lookUp(step, worth: worth) }
        guard let worth = draftCosts[.model]?.chance(sequences: count), let drafter else { return true }
        return try draft(by: drafter.model, step, worth: worth)
    }

    private mutating func lookUp(_ step: borrowing Step, worth: Double) {
        for index in planned.indices {
            guard let tokens = sequences[planned[index].sequence]?.tokens else { continue }
            let count = draftMax(index, .lookup, step, worth: worth)
            planned[index].draft = DraftLookup.draft(after: tokens, count: count)
        }
    }

    /// The most tokens to draft for a sequence: never more than its credit and its length allow.
    private mutating func draftMax(
        _ index: Int, _ source: DraftSource, _ step: borrowing Step, worth: Double
    ) -> Int {
        let number = planned[index].sequence
        guard let sequence = sequences[number], sequence.uncomputed == 1 else { return 0 }
        let room = min(step.credit(of: number), sequence.tokensMax - sequence.tokens.count) - 1
        let wanted = sequences[number]?.draftLengths[source, default: DraftLength()].tokens(worth: worth) ?? 0
        return min(wanted, room, DraftLength.tokensMax / planned.count)
    }

    /// Has the draft model draft for those that nothing was found for.
    private mutating func draft(
        by draft: LlamaModel, _ step: borrowing Step, worth: Double
    ) throws(EngineFault) -> Bool {
        let stepNanoseconds = draftCosts[.model]?.plainNanoseconds(sequences: planned.count) ?? 0
        let members = draftMembers(step, worth: worth, stepNanoseconds)
        guard !members.isEmpty, let pace = drafter?.pace else { return true }
        let room = min(pace.room(stepNanoseconds: stepNanoseconds), Limits.batchTokens, cells)
        var round = DraftRound(members, worth: worth, room: room)
        let numbers = planned.map(\.sequence)
        let attend = step.attend
        let news = step.news
        func goesOn() -> Bool {
            attend()
            let cancelled = news().cancelled
            return !numbers.allSatisfy(cancelled.contains)
        }
        while true {
            let shares = round.next()
            guard !shares.isEmpty else { break }
            let began = Backend.nowNanoseconds
            let places = try fill(draft, shares, of: round)
            var decoded = draft.decode(goesOn: goesOn)
            if decoded == .noRoom, emptyOtherDrafts(than: round) { decoded = draft.decode(goesOn: goesOn) }
            switch decoded {
            case .done: break
            case .noRoom:
                round.lackCells()
                continue
            case .cut:
                for share in shares { forgetDraft(cache(of: share, in: round), from: share.positions.lowerBound) }
                return false
            case .failed(let code):
                throw failure(code)
            }
            for (share, place) in zip(shares, places) {
                let guess = share.drafts ? draft.likeliest(at: place, below: drafter?.tokenBound ?? 0) : nil
                round.computed(share, guess: guess)
                let cache = cache(of: share, in: round)
                drafter?.caches.computed(cache, upTo: share.positions.upperBound)
            }
            tookDraft(Backend.nowNanoseconds &- began, shares)
        }
        take(round)
        return true
    }

    private mutating func draftMembers(
        _ step: borrowing Step, worth: Double, _ stepNanoseconds: Double
    ) -> [DraftRound.Member] {
        var members: [DraftRound.Member] = []
        for index in planned.indices where planned[index].draft.isEmpty {
            let most = draftMax(index, .model, step, worth: worth)
            guard most > 0, let drafter, let sequence = sequences[planned[index].sequence] else { continue }
            let known = sequence.tokens.count
            // The last token is computed for the guess at the next one.
            forgetDraft(sequence.cache, from: known - 1)
            let held = min(drafter.caches[sequence.cache], known - 1)
            let pays = drafter.pace.pays(
                backlog: known - held, left: sequence.tokensMax - known, stepNanoseconds: stepNanoseconds)
            guard pays, known + most <= drafter.contextTokens else { continue }
            members.append(
                DraftRound.Member(sequence: sequence.number, tokens: known, held: held, draftMax: most))
        }
        return members
    }

    /// Puts shares into the draft model's batch; returns where each finds its logits.
    private func fill(
        _ draft: LlamaModel, _ shares: [DraftRound.Share], of round: DraftRound
    ) throws(EngineFault) -> [Int32] {
        draft.clearBatch()
        let last = Int32(clamping: draft.facts.vocabulary) - 1
        var places: [Int32] = []
        for share in shares {
            let member = round.members[share.member]
            var place: Int32?
            for position in share.positions {
                guard let sequence = sequences[member.sequence] else { break }
                let token =
                    position < member.tokens ? sequence.tokens[position] : member.draft[position - member.tokens]
                place = draft.add(
                    // What only the model's vocabulary has is padding.
                    min(token, last), position: position, cache: sequence.cache,
                    wantsLogits: share.drafts && position == share.positions.upperBound - 1)
            }
            guard let place else { throw EngineFault(.internal, "the draft model takes no more tokens in a batch") }
            places.append(place)
        }
        return places
    }

    private func cache(of share: DraftRound.Share, in round: DraftRound) -> Int {
        sequences[round.members[share.member].sequence]?.cache ?? 0
    }

    /// The draft model has computed a batch. What it took to catch up is no cost of the drafted tokens.
    private mutating func tookDraft(_ nanoseconds: UInt64, _ shares: [DraftRound.Share]) {
        let tokens = shares.reduce(0) { $0 + $1.positions.count }
        drafter?.pace.took(nanoseconds, tokens: tokens)
        let caughtUp = drafter?.pace.nanoseconds(tokens: tokens - shares.count) ?? 0
        draftNanoseconds += UInt64(max(0, Double(nanoseconds) - caughtUp))
    }

    /// Takes over the drafted tokens of a round.
    private mutating func take(_ round: DraftRound) {
        for member in round.members {
            let index = planned.firstIndex { $0.sequence == member.sequence }
            if member.isStuck {
                // As one that was refused, so that it is tried less often.
                sequences[member.sequence]?.draftLengths[.model, default: DraftLength()]
                    .took(drafted: 1, accepted: 0)
            }
            guard !member.draft.isEmpty, let index else { continue }
            planned[index].draft = member.draft[...]
            planned[index].source = .model
        }
    }

    /// A step without prompts was computed.
    mutating func noteDraftCost(_ nanoseconds: UInt64) {
        let count = planned.count
        let drafted = planned.reduce(0) { $0 + $1.draft.count }
        guard drafted > 0 else {
            for source in draftCosts.keys { draftCosts[source]?.took(nanoseconds, sequences: count, drafted: 0) }
            return
        }
        let source: DraftSource = planned.contains { !$0.draft.isEmpty && $0.source == .model } ? .model : .lookup
        draftCosts[source]?.took(nanoseconds &+ draftNanoseconds, sequences: count, drafted: drafted)
    }

    /// A share's tokens were verified, and some were accepted.
    mutating func noteDraftLength(_ share: Planned, accepted: Int) {
        for source in draftCosts.keys {
            let isItsSource = source == share.source
            sequences[share.sequence]?.draftLengths[source, default: DraftLength()].took(
                drafted: isItsSource ? share.draft.count : 0, accepted: isItsSource ? accepted : 0)
        }
    }
}

// The caches of both models.
extension LlamaEngine {
    /// Forgets the tokens of a cache from a position on; returns false when the model had to forget all of them.
    @discardableResult
    mutating func forget(cache: Int, from position: Int) -> Bool {
        forgetDraft(cache, from: position)
        return model?.forget(cache: cache, from: position) ?? false
    }

    /// Replaces the contents of a cache by the first tokens of another; returns false when it is empty afterwards.
    mutating func copy(cache: Int, to other: Int, tokens: Int) -> Bool {
        if let draft = drafter?.model, let count = drafter?.caches.copy(cache, to: other, tokens: tokens) {
            let isCopied = count > 0 && draft.copy(cache: cache, to: other, tokens: count)
            if !isCopied {
                _ = draft.forget(cache: other, from: 0)
                drafter?.caches.computed(other, upTo: 0)
            }
        }
        return model?.copy(cache: cache, to: other, tokens: tokens) ?? false
    }

    private mutating func forgetDraft(_ cache: Int, from position: Int) {
        guard let draft = drafter?.model, drafter?.caches.keep(cache, first: position) == true else { return }
        if !draft.forget(cache: cache, from: position) { drafter?.caches.computed(cache, upTo: 0) }
    }

    /// Leaves the draft model's cells to the members of a round; returns false where they have all of them.
    private mutating func emptyOtherDrafts(than round: DraftRound) -> Bool {
        let own = round.members.compactMap { sequences[$0.sequence]?.cache }
        let emptied = drafter?.caches.emptyOthers(than: own) ?? []
        for cache in emptied { _ = drafter?.model.forget(cache: cache, from: 0) }
        return !emptied.isEmpty
    }
}
