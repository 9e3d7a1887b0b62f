import Testing

@testable import InferenceService

struct TurnCreditTests {
    @Test func `it is granted up to the most, in steps of half of it`() {
        var credit = TurnCredit(most: 8)
        #expect(credit.wanted(isCongested: false) == 8)
        credit.granted(8)
        #expect(credit.wanted(isCongested: false) == 0)
        credit.came(3)
        #expect(credit.wanted(isCongested: false) == 0)
        credit.came(1)
        #expect(credit.wanted(isCongested: false) == 4)
    }

    @Test func `nothing is granted while the consumer lags, at a turn's beginning either`() {
        var credit = TurnCredit(most: 8)
        #expect(credit.wanted(isCongested: true) == 0)
        credit.granted(8)
        credit.came(8)
        #expect(credit.wanted(isCongested: true) == 0)
        #expect(credit.wanted(isCongested: false) == 8)
    }

    @Test func `of one token at once, each is granted when the one before has come`() {
        var credit = TurnCredit(most: 1)
        credit.granted(1)
        #expect(credit.wanted(isCongested: false) == 0)
        credit.came(1)
        #expect(credit.wanted(isCongested: false) == 1)
    }

    @Test func `with log-probabilities it is so much less that half of a turn's bytes hold the longest ones`() {
        var limits = InferenceLimits()
        #expect(TurnCredit.most(limits, logprobs: nil) == limits.creditTokens)
        #expect(TurnCredit.most(limits, logprobs: 0) == limits.creditTokens)
        limits.turnBytesMax = 1 << 20
        var last = UInt32.max
        for logprobs in [0, 1, 20] as [UInt32] {
            let most = TurnCredit.most(limits, logprobs: logprobs)
            let bytes = Int(most) * (1_024 + 160 * (1 + Int(logprobs)) + 64) + limits.pendingLogprobBytesMax
            #expect(most < last && bytes <= limits.turnBytesMax / 2)
            last = most
        }
        limits.turnBytesMax = 0
        #expect(TurnCredit.most(limits, logprobs: 20) == 1)
    }

    @Test func `what came unasked does not count, and what did not come is taken back once`() {
        var credit = TurnCredit(most: 8)
        credit.granted(3)
        credit.came(5)
        #expect(credit.outstanding == 0)
        credit.granted(6)
        #expect(credit.takeBack() == 6)
        #expect(credit.takeBack() == 0)
    }
}
