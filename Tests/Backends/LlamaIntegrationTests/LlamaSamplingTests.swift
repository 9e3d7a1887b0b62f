import BackendDriver
import BackendIPC
import BackendProgram
import Foundation
import InferenceMessages
import SwiftProtobuf
import Testing

@Suite("How the llama backend chooses tokens", .serialized)
struct LlamaSamplingTests {
    private let question = Hearth_V1_GenerateRequest.question("Tell me a story about a fox.")

    private func entries(_ completion: Completion) throws -> [Hearth_V1_TokenLogprob] {
        let entries = try Hearth_V1_Logprobs(serializedBytes: completion.logprobBytes).tokens
        #expect(entries.map(\.tokenID) == completion.tokens)
        return entries
    }

    @Test("the log-probabilities are the model's own, whatever is drawn, drafted or left out")
    func logprobs() throws {
        let backend = try BackendDriver.unloadedLlama()
        try backend.load(model: "demo", draftLookup: true)
        let list = Hearth_V1_GenerateRequest.text(
            String(repeating: "one two three four five six seven eight ", count: 6)
        ).endless(60)
        let requests = [
            list, list.with { $0.sampling.temperature = 1.5 },
            question.with {
                $0.sampling.frequencyPenalty = 1
                $0.stopping.stop = ["xyz"]
            },
        ]
        for request in requests {
            let plain = try backend.complete(request.with { $0.sampling.seed = 3 })
            #expect(plain.logprobBytes.isEmpty)
            let asked = try backend.complete(
                request.with {
                    $0.sampling.seed = 3
                    $0.output.logprobs = 20
                })
            #expect(asked.tokens == plain.tokens && asked.text == plain.text)
            for entry in try entries(asked) {
                #expect(entry.alternatives.count == 20 && Set(entry.alternatives.map(\.tokenID)).count == 20)
                let sum = entry.alternatives.reduce(0) { $0 + exp(Double($1.logprob)) }
                #expect(sum > 0.05 && sum <= 1.0001)
                // The chosen token is one of the likeliest with the same number, or less likely than all of them.
                if let same = entry.alternatives.first(where: { $0.tokenID == entry.tokenID }) {
                    #expect(same.logprob == entry.logprob && same.text == entry.text)
                } else {
                    #expect(entry.logprob <= entry.alternatives[19].logprob)
                }
            }
        }
        // The likeliest token is the greedy choice, and the first alternative.
        for entry in try entries(try backend.complete(question.with { $0.output.logprobs = 1 })) {
            #expect(entry.alternatives.map(\.tokenID) == [entry.tokenID])
        }
        let alone = try entries(try backend.complete(question.with { $0.output.logprobs = 0 }))
        #expect(!alone.isEmpty && alone.allSatisfy { $0.alternatives.isEmpty && $0.logprob < 0 })
        #expect(alone.map(\.text).reduce(Data(), +) == Data(try backend.complete(question).bytes))
    }

    @Test("a bias bans a token or forces it, and one beyond the vocabulary is refused by its field")
    func biases() throws {
        let backend = try BackendDriver.llama()
        let plain = try backend.complete(question).tokens
        func biased(_ token: UInt32, _ bias: Float) throws -> Completion {
            try backend.complete(
                question.with {
                    $0.stopping.maxTokens = 20
                    $0.sampling.logitBias = [
                        .with {
                            $0.tokenID = token
                            $0.bias = bias
                        }
                    ]
                })
        }
        let banned = try biased(plain[0], -100)
        #expect(!banned.tokens.contains(plain[0]) && !banned.tokens.isEmpty)
        #expect(try biased(plain[3], 100).tokens == Array(repeating: plain[3], count: 20))
        #expect(try biased(plain[3], 0).tokens == Array(plain.prefix(20)))
        let fault = try biased(1_024, 1).fault
        #expect(fault?.code == .invalidArgument)
        #expect(
            fault?.message == "sampling.logit_bias[0].token_id is 1024; allowed: a token of \"demo\", 0 to 1023")
    }

    @Test("no end of turn and no stop token is chosen before the least number of tokens, with drafts too")
    func leastTokens() throws {
        for drafts in [false, true] {
            let backend = try BackendDriver.unloadedLlama()
            try backend.load(model: "demo", draftLookup: drafts)
            let short = Hearth_V1_GenerateRequest.question("What is 3 plus 4?")
            let plain = try backend.complete(short)
            let least = UInt32(plain.tokens.count + 9)
            let longer = try backend.complete(short.with { $0.stopping.minTokens = least })
            #expect(longer.tokens.count >= Int(least) && longer.tokens.starts(with: plain.tokens))
            let stop = plain.tokens[1]
            let held = try backend.complete(
                short.with {
                    $0.stopping.minTokens = 3
                    $0.stopping.stopTokenIds = [stop]
                })
            #expect(held.tokens.count >= 3 && held.tokens[0] == plain.tokens[0] && !held.tokens.contains(stop))
        }
    }

    @Test("each sampler does what it is for, and its neutral value changes nothing")
    func samplers() throws {
        let backend = try BackendDriver.llama()
        let drawn = question.endless(40).with {
            ($0.sampling.temperature, $0.sampling.seed) = (2, 5)
            ($0.sampling.topK, $0.sampling.topP, $0.sampling.minP) = (0, 1, 0)
        }
        func tokens(_ change: (inout Hearth_V1_Sampling) -> Void) throws -> [UInt32] {
            let completion = try backend.complete(drawn.with { change(&$0.sampling) })
            #expect(completion.reason == .length)
            return completion.tokens
        }
        let plain = try tokens { _ in }
        let neutral: [(inout Hearth_V1_Sampling) -> Void] = [
            { $0.typicalP = 1 }, { $0.topNSigma = 0 }, { $0.xtcProbability = 0 }, { $0.dryMultiplier = 0 },
            {
                $0.penaltyWindow = 0
                $0.frequencyPenalty = 2
            },
            {
                $0.dryMultiplier = 1
                $0.dryWindow = 0
            },
        ]
        for change in neutral { #expect(try tokens(change) == plain) }
        // Narrowed to next to nothing, the likeliest token is left.
        let likeliest = try backend.complete(question.endless(40)).tokens
        #expect(try tokens { $0.topNSigma = 0.01 } == likeliest)
        let changes: [(inout Hearth_V1_Sampling) -> Void] = [
            { $0.typicalP = 0.2 }, { $0.topNSigma = 1 },
            {
                $0.xtcProbability = 1
                $0.xtcThreshold = 0.05
            },
            {
                $0.frequencyPenalty = 2
                $0.penaltyWindow = .max
            },
        ]
        for change in changes {
            let changed = try tokens(change)
            #expect(changed != plain)
            #expect(try tokens(change) == changed, "the same seed draws the same")
        }
        // With all at once, and both ends of each range.
        for isHigh in [false, true] {
            _ = try tokens {
                ($0.typicalP, $0.topNSigma) = (isHigh ? 1 : .leastNonzeroMagnitude, isHigh ? 100 : 0.001)
                ($0.xtcProbability, $0.xtcThreshold) = (1, isHigh ? 0.5 : 0)
                ($0.dryMultiplier, $0.dryBase, $0.dryAllowedLength) = (10, isHigh ? 10 : 1, isHigh ? 65_536 : 1)
                $0.frequencyPenalty = 2
                $0.penaltyWindow = .max
            }
        }
    }

    @Test("DRY ends repetitions, but not beyond its breakers or its window")
    func dry() throws {
        let backend = try BackendDriver.llama()
        let list = Hearth_V1_GenerateRequest.text(
            String(repeating: "one two three four five six seven eight ", count: 6)
        ).endless(24)
        let plain = try backend.complete(list).text
        let repetition = "four twelve fifteen four twelve fifteen"
        #expect(plain.contains(repetition), "\(plain)")
        func text(_ change: (inout Hearth_V1_Sampling) -> Void) throws -> String {
            try backend.complete(
                list.with {
                    $0.sampling.dryMultiplier = 5
                    change(&$0.sampling)
                }
            ).text
        }
        let dry = try text { _ in }
        #expect(!dry.contains(repetition))
        // The sampler that was made for the settings before is not used for others.
        #expect(try text { $0.dryWindow = 4 } == plain)
        #expect(try text { $0.drySequenceBreakers.texts = ["o", "e", "t", "i", "u", "v"] } == plain)
        #expect(try text { $0.drySequenceBreakers = .init() } == dry)
        #expect(try text { _ in } == dry)
    }

    @Test("it tells what holds where nobody says otherwise")
    func defaults() throws {
        let backend = try BackendDriver.llama()
        let loaded = try #require(backend.conversation.loaded)
        let defaults = try Hearth_V1_Sampling(serializedBytes: loaded.samplingDefaults)
        #expect(defaults.temperature == 0.5, "the file says so")
        #expect(defaults.topK == 40 && defaults.topP == 0.95 && defaults.minP == 0.05)
        #expect(defaults.penaltyWindow == 64 && defaults.repetitionPenalty == 1)
        #expect(defaults.dryWindow == loaded.maxContextTokens && !defaults.hasSeed)
    }
}
