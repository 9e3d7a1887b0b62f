import BackendIPC
import Foundation
import Glibc
import InferenceMessages
import Testing

@Suite("What the llama backend refuses", .serialized)
struct LlamaRefusalTests {
    @Test("A prompt that does not fit is refused with both numbers, and the next one is served")
    func promptTooLong() throws {
        let backend = try DrivenBackend()
        let limit = backend.loaded.maxContextTokens
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
        let backend = try DrivenBackend()
        let fault = try #require(try backend.complete(.question(String(repeating: "x", count: 3_000_000))).fault)
        #expect(fault.code == .contextOverflow)
        #expect(fault.message.contains("at least"))
    }

    @Test("A token id outside the vocabulary is refused by name")
    func unknownToken() throws {
        let backend = try DrivenBackend()
        for id in [1_024, UInt32.max] {
            let fault = try #require(try backend.complete(.tokens([5, id])).fault)
            #expect(fault.code == .invalidArgument)
            #expect(fault.message.contains("\(id) is no token"))
        }
    }

    @Test("An empty prompt and a NUL are refused")
    func emptyPrompt() throws {
        let backend = try DrivenBackend()
        #expect(try backend.complete(.text("")).fault?.code == .invalidArgument)
        #expect(try backend.complete(.tokens([])).fault?.code == .invalidArgument)
        #expect(try backend.complete(.question("a\0b")).fault?.code == .invalidArgument)
    }

    @Test("Sampling values out of every range do not end the process")
    func wildSampling() throws {
        let backend = try DrivenBackend()
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
        "Weights that are no model end the backend with a reason, not a crash",
        arguments: ["empty", "noise", "cut", "bent"])
    func badModel(kind: String) throws {
        let model = try Data(contentsOf: URL(filePath: DrivenBackend.demoModel))
        var bytes: Data
        switch kind {
        case "empty": bytes = Data()
        case "noise": bytes = Data((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 167) })
        case "cut": bytes = model.prefix(model.count / 2)
        default:
            bytes = model
            // Keys and their types begin here; their lengths become nonsense.
            for index in 24..<400 { bytes[index] = 0xEE }
        }
        let path = FileManager.default.temporaryDirectory.appending(path: "hearth-\(getpid())-\(kind).gguf")
        try bytes.write(to: path)
        defer { try? FileManager.default.removeItem(at: path) }
        do {
            _ = try DrivenBackend(weights: path.path)
            Issue.record("the backend loaded it")
        } catch DrivenBackend.Failure.fatal(let fault) {
            #expect(fault.code == .badModel)
            #expect(fault.message.contains("GGUF"))
        }
    }
}
