/// The drafting of tokens by a draft model, for one step of the model: what its batches compute, one after another, and what
/// comes of them. The first batch also has the tokens of the sequences that the draft model has not computed yet, within a
/// bound; what is beyond it is computed in later rounds, and nothing is drafted for that sequence before.
package struct DraftRound: Equatable, Sendable {
    /// A sequence that tokens are drafted for.
    package struct Member: Equatable, Sendable {
        package let sequence: Int
        /// The number of its tokens.
        package let tokens: Int
        /// The number of tokens, its own and then drafted ones, that the draft model's cache holds.
        package fileprivate(set) var held: Int
        package fileprivate(set) var draft: [Int32] = []
        /// The draft model found no token.
        package fileprivate(set) var isStuck = false
        fileprivate let draftMax: Int
        /// How likely the draft model finds it that all drafted tokens are accepted.
        fileprivate var chance = 1.0
        fileprivate var isDone = false

        /// - Parameters:
        ///   - held: fewer than `tokens`: the last one is computed to guess the next.
        ///   - draftMax: the most tokens to draft, at least 1.
        package init(sequence: Int, tokens: Int, held: Int, draftMax: Int) {
            self.sequence = sequence
            self.tokens = tokens
            self.held = held
            self.draftMax = draftMax
        }

        fileprivate var uncomputed: Int { tokens + draft.count - held }
    }

    /// A member's part of a batch.
    package struct Share: Equatable, Sendable {
        /// The member's place among `members`.
        package let member: Int
        /// Of its tokens and of the drafted ones behind them.
        package let positions: Range<Int>
        /// Whether the last of them gives the next token.
        package let drafts: Bool
    }

    package private(set) var members: [Member]
    private let worth: Double
    private let room: Int

    /// - Parameters:
    ///   - worth: the least chance of being accepted that a drafted token needs.
    ///   - room: the most tokens of a batch; at least as many as members.
    package init(_ members: [Member], worth: Double, room: Int) {
        self.members = members
        self.worth = worth
        self.room = room
    }

    /// What the next batch computes, in the order of the members; nothing: the round is over.
    package mutating func next() -> [Share] {
        var left = room
        var shares: [Share] = []
        let waiting = members.indices.filter { !members[$0].isDone }
        for index in waiting.sorted(by: { members[$0].uncomputed < members[$1].uncomputed }) {
            let member = members[index]
            let count = min(member.uncomputed, left)
            let drafts = count == member.uncomputed
            if !drafts { members[index].isDone = true }
            guard count > 0 else { continue }
            left -= count
            shares.append(Share(member: index, positions: member.held..<member.held + count, drafts: drafts))
        }
        return shares.sorted { $0.member < $1.member }
    }

    /// A share was computed. `guess`: the token that it gives, and how likely the draft model finds it; nil where there is
    /// none, or none is wanted. After a token that is not likely enough no further one is drafted.
    package mutating func computed(_ share: Share, guess: (token: Int32, chance: Double)?) {
        members[share.member].held = share.positions.upperBound
        guard share.drafts else { return }
        guard let guess else {
            members[share.member].isStuck = true
            members[share.member].isDone = true
            return
        }
        members[share.member].draft.append(guess.token)
        members[share.member].chance *= guess.chance
        let member = members[share.member]
        members[share.member].isDone = member.draft.count >= member.draftMax || member.chance < worth
    }

    /// There are no cells for the next batch: nothing more is drafted.
    package mutating func lackCells() {
        for index in members.indices {
            members[index].isStuck = true
            members[index].isDone = true
        }
    }
}
