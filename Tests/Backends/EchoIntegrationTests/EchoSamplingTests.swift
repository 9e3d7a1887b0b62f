import BackendDriver
import BackendIPC
import BackendProgram
import EchoTokens
import Foundation
import InferenceMessages
import SwiftProtobuf
import Testing

@Suite("what echo makes of biases, least lengths and log-probabilities")
struct EchoSamplingTests {
    private func completion(
        _ echo: BackendDriver, _ change: (inout Hearth_V1_GenerateRequest) -> Void
    ) throws -> Completion {
        var request = Hearth_V1_GenerateRequest()
        request.text = "once upon a time"
        change(&request)
        try echo.start(0, try request.serializedBytes())
        return try echo.finish(0)
    }

    private func bias(_ token: UInt32, _ bias: Float) -> Hearth_V1_LogitBias {
        .with {
            $0.tokenID = token
            $0.bias = bias
        }
    }

    @Test("a bias of 100 puts its token everywhere, one of -100 the next in its place")
    func biases() throws {
        let echo = try BackendDriver.readyEcho()
        let plain = expectedIDs(0..<5)
        let changed = try completion(echo) {
            $0.stopping.maxTokens = 5
            $0.sampling.logitBias = [
                bias(plain[2], -100), bias((plain[2] + 1) % EchoTokens.vocabulary, -100), bias(plain[3], -99),
            ]
        }
        var expected = plain
        expected[2] = (plain[2] + 2) % EchoTokens.vocabulary
        #expect(changed.tokens == expected)
        let forced = try completion(echo) {
            $0.stopping.maxTokens = 3
            $0.sampling.logitBias = [bias(7, 100)]
        }
        #expect(forced.tokens == [7, 7, 7])
        let fault = try completion(echo) { $0.sampling.logitBias = [bias(3, 1), bias(8_192, 1)] }.fault
        #expect(fault?.code == .invalidArgument)
        #expect(fault?.message == "sampling.logit_bias[1].token_id is 8192; allowed: 0 to 8191")
    }

    @Test("neither its turn nor a stop token ends a completion before the least number of tokens")
    func leastTokens() throws {
        let echo = try BackendDriver.readyEcho()
        let ids = expectedIDs(0..<100)
        let turn = try completion(echo) { $0.stopping.minTokens = 70 }
        #expect(turn.tokens == Array(ids[..<70]) && turn.reason == .stop)
        let stopped = try completion(echo) {
            $0.stopping.minTokens = 4
            $0.stopping.stopTokenIds = [ids[2], ids[9]]
        }
        #expect(stopped.tokens == Array(ids[..<9]) && stopped.finish?.stopTokenID == ids[9])
        let longest = try completion(echo) {
            $0.stopping.minTokens = 6
            $0.stopping.maxTokens = 6
            $0.backendOptions = ["end_at": "2"]
        }
        #expect(longest.tokens == Array(ids[..<6]) && longest.reason == .length)
    }

    @Test(
        "log-probabilities are those that the description says, in runs of any length", arguments: [0, 3] as [UInt32])
    func logprobs(alternatives: UInt32) throws {
        let echo = try BackendDriver.readyEcho()
        let completion = try completion(echo) {
            $0.stopping.maxTokens = 500
            $0.output.logprobs = alternatives
            $0.backendOptions = ["burst": "400"]
        }
        #expect(completion.tokens == expectedIDs(0..<500))
        let entries = try Hearth_V1_Logprobs(serializedBytes: completion.logprobBytes).tokens
        #expect(entries.map(\.tokenID) == completion.tokens)
        for entry in entries {
            #expect(entry.logprob == -logf(2) && entry.text == Data(EchoTokens.text(of: entry.tokenID).utf8))
            #expect(entry.alternatives.count == Int(alternatives))
            for (place, other) in entry.alternatives.enumerated() {
                #expect(other.tokenID == (entry.tokenID + UInt32(place)) % EchoTokens.vocabulary)
                #expect(other.logprob == -Float(place + 1) * logf(2))
                #expect(other.text == Data(EchoTokens.text(of: other.tokenID).utf8))
            }
        }
        let plain = try self.completion(echo) { $0.stopping.maxTokens = 5 }
        #expect(plain.logprobBytes.isEmpty)
    }
}
