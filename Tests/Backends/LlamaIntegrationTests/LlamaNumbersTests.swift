import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import LinuxSystem
import Testing

@Suite("What the llama backend makes of numbers", .serialized)
struct LlamaNumbersTests {
    @Test("A model that computes what is no number ends its sequences with a fault, and lives")
    func notANumber() throws {
        let model = try ChangedModel { ChangedModel.set("llama.rope.freq_base", to: Float.nan, in: &$0) }
        let backend = try BackendDriver.llama(weights: model.path)
        for temperature in [0, 1] as [Float] {
            let completion = try backend.complete(.question("Hello").with { $0.sampling.temperature = temperature })
            #expect(completion.tokens.isEmpty)
            #expect(completion.fault?.code == .internal)
            #expect(completion.fault?.message.contains("no number") == true)
        }
        #expect(try backend.ping().sequences == 0)
    }

    @Test("What llama.cpp cannot go on from is told before the process ends")
    func assertion() throws {
        let model = try ChangedModel {
            ChangedModel.set("llama.attention.layer_norm_rms_epsilon", to: Float.nan, in: &$0)
        }
        let backend = try BackendDriver.llama(weights: model.path)
        let failure = try #require(throws: BackendDriver.Failure.self) { _ = try backend.complete(.question("Hello")) }
        guard case .fatal(let fault) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(fault.code == .internal)
        #expect(fault.message.contains("llama.cpp gave up: "))
        #expect(try backend.awaitEnd() == .exited(1), "it exits with 1, and is not ended by a signal")
    }

    @Test("The smallest temperatures choose the likeliest token, as 0 does")
    func smallTemperatures() throws {
        let backend = try BackendDriver.llama()
        let question = Hearth_V1_GenerateRequest.question("Tell me a story about a fox.").endless(40)
        let likeliest = try backend.complete(question).tokens
        for temperature in [
            Float.leastNonzeroMagnitude, Float(sign: .plus, exponent: -133, significand: 1), .leastNormalMagnitude,
            1e-38, 1e-30, 1e-10, 1e-6, 1e-5, 1e-4,
        ] {
            for seed in 1...3 as ClosedRange<UInt64> {
                let request = question.with {
                    $0.sampling.temperature = temperature
                    $0.sampling.seed = seed
                    // Nothing but the temperature.
                    $0.sampling.topK = 0
                    $0.sampling.topP = 1
                    $0.sampling.minP = 0
                }
                #expect(try backend.complete(request).tokens == likeliest, "\(temperature)")
            }
        }
    }

    @Test("A top_p next to nothing, a min_p of 1 and a top_k of 1 leave the likeliest token, at any temperature")
    func narrowest() throws {
        let backend = try BackendDriver.llama()
        let question = Hearth_V1_GenerateRequest.question("Tell me a story about a fox.").endless(40)
        let likeliest = try backend.complete(question).tokens
        let narrowings: [(inout Hearth_V1_Sampling) -> Void] = [
            { $0.topP = 0 }, { $0.topP = .leastNonzeroMagnitude }, { $0.minP = 1 }, { $0.topK = 1 },
        ]
        for narrow in narrowings {
            let request = question.with {
                $0.sampling.temperature = 2
                $0.sampling.seed = 5
                narrow(&$0.sampling)
            }
            #expect(try backend.complete(request).tokens == likeliest)
        }
    }

    @Test("The widest penalties still choose tokens of the vocabulary, and end with the length that was asked for")
    func widestPenalties() throws {
        let backend = try BackendDriver.llama()
        for value in [-100, -2, 2, 100] as [Float] {
            let completion = try backend.complete(
                .question("Hello").endless(40).with {
                    $0.sampling.temperature = 100
                    $0.sampling.frequencyPenalty = value
                    $0.sampling.presencePenalty = value
                    $0.sampling.repetitionPenalty = value > 0 ? value : Float.leastNonzeroMagnitude
                    $0.sampling.topK = 0
                    $0.sampling.topP = 1
                    $0.sampling.minP = .leastNonzeroMagnitude
                })
            #expect(completion.reason == .length)
            #expect(completion.tokens.count == 40)
            #expect(completion.tokens.allSatisfy { $0 < 1_024 })
        }
    }
}
