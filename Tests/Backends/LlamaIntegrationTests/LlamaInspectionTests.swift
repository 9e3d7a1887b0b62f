import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import Testing

@Suite("What the llama backend tells of a file that it does not load", .serialized)
struct LlamaInspectionTests {
    @Test("It tells what the model is")
    func facts() throws {
        let inspected = try BackendDriver.unloadedLlama().inspect()
        #expect(inspected.architecture == "llama")
        #expect(inspected.name == "hearth-demo")
        #expect(inspected.quantisation.contains("Q8_0"))
        #expect((100_000...2_000_000).contains(inspected.parameters))
        #expect(inspected.trainedContextTokens == inspected.contextTokens)
        #expect(inspected.hasChatTemplate && inspected.templateFlaw.isEmpty)
    }

    @Test(
        "A process that has the memory that it told of, and not more, loads what it told of, and answers",
        arguments: [(0, 4), (0, 64), (200, 1)] as [(UInt32, UInt32)])
    func memory(contextTokens: UInt32, maxSequences: UInt32) throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(1 << 14), in: &$0) }
        let inspected = try BackendDriver.unloadedLlama(weights: model.path, dataMebibytes: 4_096)
            .inspect(contextTokens: contextTokens, maxSequences: maxSequences)
        #expect(inspected.maxSequences == maxSequences)
        let backend = try BackendDriver.llama(
            weights: model.path, contextTokens: contextTokens, maxSequences: maxSequences,
            dataMebibytes: inspected.memoryBytes >> 20 + 64)
        let loaded = try #require(backend.conversation.loaded)
        #expect(loaded.maxContextTokens == inspected.contextTokens && loaded.maxSequences == inspected.maxSequences)
        #expect(try backend.complete(.question("What is 3 plus 4?")).text.contains("7"))
    }

    @Test("More context and more sequences take more memory, and what does not fit is told as smaller")
    func growth() throws {
        let model = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(1 << 20), in: &$0) }
        func inspect(_ contextTokens: UInt32, _ sequences: UInt32, mebibytes: UInt64) throws -> Inspected {
            try BackendDriver.unloadedLlama(weights: model.path, dataMebibytes: mebibytes)
                .inspect(contextTokens: contextTokens, maxSequences: sequences)
        }
        let small = try inspect(1_000, 1, mebibytes: 4_096)
        let long = try inspect(8_000, 1, mebibytes: 4_096)
        let many = try inspect(1_000, 8, mebibytes: 4_096)
        #expect(small.contextBytes < long.contextBytes && small.contextBytes < many.contextBytes)
        #expect(small.memoryBytes < long.memoryBytes && small.memoryBytes < many.memoryBytes)
        #expect(long.contextBytes < long.memoryBytes)
        let squeezed = try inspect(0, 64, mebibytes: 160)
        #expect((1..<64).contains(squeezed.maxSequences))
        #expect(squeezed.memoryBytes <= 160 << 20)
    }

    @Test("Quantised caches take less memory, and answer; an unknown option is refused")
    func cacheType() throws {
        func backend(_ options: [String: String], inspectOnly: Bool = false) throws -> BackendDriver {
            let backend = try BackendDriver.unloadedLlama()
            try backend.shakeHands()
            try backend.askToLoad(model: "demo", options: options, inspectOnly: inspectOnly)
            try backend.listen { $0.inspected != nil || $0.conversation.phase == .ready }
            return backend
        }
        let whole = try #require(try backend([:], inspectOnly: true).inspected)
        let quantised = try #require(try backend(["cacheType": "q8_0"], inspectOnly: true).inspected)
        #expect(quantised.contextBytes < whole.contextBytes)
        #expect(
            try backend(["cacheType": "q8_0"]).complete(.question("What is 3 plus 4?")).text.contains("7"))
        let failure = try #require(throws: BackendDriver.Failure.self) { _ = try backend(["cache": "q8_0"]) }
        guard case .fatal(let fault) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(fault.code == .badModel && fault.message.contains("'cache' is unknown"))
    }

    @Test("A file that is no model is refused with the reason that loading it would have")
    func refusal() throws {
        let model = try ChangedModel { $0.removeLast($0.count / 2) }
        func fault(_ body: () throws -> Void) throws -> Fault? {
            let failure = try #require(throws: BackendDriver.Failure.self) { try body() }
            if case .fatal(let fault) = failure { return fault }
            return nil
        }
        let inspecting = try fault { _ = try BackendDriver.unloadedLlama(weights: model.path).inspect() }
        let loading = try fault { _ = try BackendDriver.llama(weights: model.path) }
        #expect(inspecting?.code == .badModel)
        #expect(inspecting == loading)
    }
}
