import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import Testing

@Suite("What the llama backend refuses", .serialized)
struct LlamaRefusalTests {
    @Test("A prompt that does not fit is refused with both numbers, and the next one is served")
    func promptTooLong() throws {
        let backend = try BackendDriver.llama()
        let limit = try #require(backend.conversation.loaded).maxContextTokens
        let fault = try #require(try backend.complete(.tokens(Array(repeating: 100, count: Int(limit)))).fault)
        #expect(fault.code == .contextOverflow)
        #expect(fault.message.contains("\(limit) tokens and the context of \"demo\" holds \(limit)"))
        let text = try #require(try backend.complete(.text(String(repeating: "little ", count: 900))).fault)
        #expect(text.code == .contextOverflow)
        #expect(text.message.contains("holds \(limit)"))
        #expect(try backend.complete(.tokens(Array(repeating: 100, count: Int(limit) - 1))).tokens.count <= 1)
        #expect(try backend.complete(.question("What is 3 plus 4?")).text.contains("7"))
    }

    @Test("Megabytes of text are refused without being read")
    func hugePrompt() throws {
        let backend = try BackendDriver.llama()
        let fault = try #require(try backend.complete(.question(String(repeating: "x", count: 3_000_000))).fault)
        #expect(fault.code == .contextOverflow)
        #expect(fault.message.contains("at least"))
    }

    @Test("A token id outside the vocabulary is refused by name")
    func unknownToken() throws {
        let backend = try BackendDriver.llama()
        for id in [1_024, UInt32.max] {
            let fault = try #require(try backend.complete(.tokens([5, id])).fault)
            #expect(fault.code == .invalidArgument)
            #expect(fault.message.contains("\(id) is no token"))
        }
    }

    @Test("An empty prompt and a NUL are refused")
    func emptyPrompt() throws {
        let backend = try BackendDriver.llama()
        #expect(try backend.complete(.text("")).fault?.code == .invalidArgument)
        #expect(try backend.complete(.tokens([])).fault?.code == .invalidArgument)
        #expect(try backend.complete(.question("a\0b")).fault?.code == .invalidArgument)
    }

    @Test("Sampling values out of every range do not end the process")
    func wildSampling() throws {
        let backend = try BackendDriver.llama()
        for value in [Float.nan, .infinity, -.infinity, -1, 0, 1e30] {
            let completion = try backend.complete(
                .question("Hello").endless(5).with {
                    $0.sampling.temperature = value
                    $0.sampling.topP = value
                    $0.sampling.minP = value
                    $0.sampling.topK = .max
                    $0.sampling.frequencyPenalty = value
                    $0.sampling.presencePenalty = value
                    $0.sampling.repetitionPenalty = value
                })
            #expect(completion.finish != nil)
        }
        #expect(try backend.ping().sequences == 0)
    }

    @Test(
        "Weights that are no model end the backend with the reason, not a crash",
        arguments: [
            ("empty", "empty file"), ("noise", "no GGUF file"), ("cut", "cut: 539808 of 1079616 bytes"),
            ("head", "llama.cpp does not load the weights: "), ("bent", "llama.cpp does not load the weights: "),
            ("page", "HTML page"), ("pointer", "git lfs pull"), ("architecture", "architecture is \"mamma\""),
            ("big-endian", "big-endian"), ("version", "version 9"),
        ])
    func badModel(kind: String, part: String) throws {
        let model = try ChangedModel { bytes in
            switch kind {
            case "empty": bytes = []
            case "noise": bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 167) }
            case "cut": bytes.removeLast(bytes.count - bytes.count / 2)
            case "head": bytes.removeLast(bytes.count - 4_000)
            case "page": bytes = Array("<!DOCTYPE html>\n<html><body>Sign in</body></html>".utf8)
            case "pointer": bytes = Array("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n".utf8)
            case "architecture": ChangedModel.set("general.architecture", to: "mamma", in: &bytes)
            case "big-endian": bytes[4..<8] = [0, 0, 0, 3]
            case "version": bytes[4] = 9
            default:
                // Keys and their types begin here; their lengths become nonsense.
                for index in 24..<400 { bytes[index] = 0xEE }
            }
        }
        let fault = try #require(throws: BackendDriver.Failure.self) {
            _ = try BackendDriver.llama(weights: model.path)
        }
        guard case .fatal(let words) = fault else {
            Issue.record("\(fault)")
            return
        }
        #expect(words.code == .badModel)
        #expect(words.message.contains(part), "\(words.message)")
    }

    @Test("Without memory the backend shrinks what nobody asked for, and says what is missing of what somebody did")
    func memory() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(1 << 20), in: &$0) }
        let shrunk = try BackendDriver.llama(weights: model.path, maxSequences: 64, dataMebibytes: 160)
        let offered = try #require(shrunk.conversation.loaded).maxSequences
        #expect((1..<64).contains(offered))
        #expect(try shrunk.complete(.question("What is 3 plus 4?")).text.contains("7"))
        let failure = try #require(throws: BackendDriver.Failure.self) {
            _ = try BackendDriver.llama(weights: model.path, contextTokens: 1 << 20, dataMebibytes: 160)
        }
        guard case .fatal(let fault) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(fault.code == .badModel)
        #expect(fault.message.contains("of the 160 MiB"))
        #expect(fault.message.contains("raise memoryMebibytes in the manifest by "))
    }
}
