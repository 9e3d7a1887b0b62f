internal import Glibc

/// Where drafted tokens come from. What they cost, and how likely they are accepted, differs.
package enum DraftSource: Sendable {
    /// The sequence itself (`DraftLookup`).
    case lookup
    /// A second, smaller model (`DraftRound`).
    case model
}

/// What drafted tokens cost, as measured: where the processor is busy with one token, several at once take almost as much
/// longer, and only what is nearly certain is worth a draft.
package struct DraftCost: Equatable, Sendable {
    /// With more sequences nothing is drafted: their own tokens use the processor well.
    package static let sequencesMax = 3
    /// Steps without drafts that are measured first.
    package static let plainStepsFirst = 4
    /// Of so many steps one has no drafts, so that the measurement stays current.
    package static let plainInterval = 32
    /// The chance that is worth a draft before any was measured.
    private static let chanceFirst = 0.3
    /// No measurement says that a certain token is not worth it.
    private static let chanceMost = 0.95

    private struct Plain: Equatable, Sendable {
        var nanoseconds: Double = 0
        var steps = 0
    }

    /// Steps without drafts, by the number of their sequences, from 1.
    private var plain = Array(repeating: Plain(), count: sequencesMax)
    /// What a drafted token adds to a step; nil before it was measured.
    private var tokenNanoseconds: Double?
    private var drafting = 0

    package init() {}

    /// The least chance of being accepted that makes a drafted token worth its time; nil: nothing is to be drafted now,
    /// with so many sequences.
    package func chance(sequences: Int) -> Double? {
        guard plain.indices.contains(sequences - 1), plain[sequences - 1].steps >= Self.plainStepsFirst,
            drafting % Self.plainInterval != Self.plainInterval - 1
        else { return nil }
        guard let tokenNanoseconds else { return Self.chanceFirst }
        // An accepted token saves its sequence's part of a step.
        let saved = max(1, plain[sequences - 1].nanoseconds / Double(sequences))
        return min(max(tokenNanoseconds / saved, 0.05), Self.chanceMost)
    }

    /// The time of a step without drafts, for so many sequences; 0 before it was measured.
    package func plainNanoseconds(sequences: Int) -> Double {
        plain.indices.contains(sequences - 1) ? plain[sequences - 1].nanoseconds : 0
    }

    /// A step without prompts was computed, for so many sequences, with so many drafted tokens in all; `nanoseconds` counts
    /// what drafting them took.
    package mutating func took(_ nanoseconds: UInt64, sequences: Int, drafted: Int) {
        guard plain.indices.contains(sequences - 1) else { return }
        drafting &+= 1
        let time = Double(nanoseconds)
        if drafted == 0 {
            let steps = plain[sequences - 1].steps
            let weight = max(1 / Double(steps + 1), 1.0 / 16)
            plain[sequences - 1].nanoseconds += (time - plain[sequences - 1].nanoseconds) * weight
            plain[sequences - 1].steps = min(steps + 1, Self.plainStepsFirst * 4)
        } else if plain[sequences - 1].steps > 0 {
            let step = plain[sequences - 1].nanoseconds
            let added = max(0, time - step) / Double(drafted)
            // One step says little: it may be the first of its size, or another process may have had the processor.
            let before = tokenNanoseconds ?? Self.chanceFirst * step / Double(sequences)
            tokenNanoseconds = before + (added - before) * min(0.25, Double(drafted) / 32)
        }
    }
}

/// How many tokens are drafted for a sequence in a step: as long as it is likely enough that all of them are accepted. A
/// sequence whose drafts are not worth it pauses, and then tries one.
package struct DraftLength: Equatable, Sendable {
    /// The most drafted tokens of a step, all its sequences together.
    package static let tokensMax = 12
    /// The longest pause, in steps.
    package static let pauseMax = 64
    private static let pauseFirst = 8

    /// The chance that a token is accepted which follows one that was.
    private var chance = 0.75
    private var isTrial = false
    private var nextPause = pauseFirst
    private var pause = 0

    package init() {}

    /// The most tokens to draft now; `worth` is the least chance of being accepted that a drafted token needs.
    package mutating func tokens(worth: Double) -> Int {
        guard pause == 0 else { return 0 }
        let count = Int(min(log(worth) / log(chance), Double(Self.tokensMax)))
        isTrial = count < 1
        return max(1, count)
    }

    /// A step was computed, with so many drafted tokens, of which so many were accepted.
    package mutating func took(drafted: Int, accepted: Int) {
        guard drafted > 0 else {
            pause = max(0, pause - 1)
            return
        }
        for _ in 0..<accepted { chance += (0.99 - chance) / 8 }
        if accepted < drafted { chance = max(0.05, chance - chance / 8) }
        if isTrial {
            pause = nextPause
            nextPause = min(nextPause * 2, Self.pauseMax)
        } else {
            nextPause = Self.pauseFirst
        }
    }
}
