import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import SwiftProtobuf
import TestPlaces
import Testing

@Suite("What the llama backend computes with adapters", .serialized)
struct LlamaAdapterTests {
    private let first: TinyAdapter
    private let second: TinyAdapter

    init() throws {
        first = try TinyAdapter(seed: 1)
        second = try TinyAdapter(seed: 2)
    }

    private func unloaded(_ adapters: [BackendProgram.Adapter], weights: String = Repository.demoModel) throws
        -> BackendDriver
    {
        try .unloadedLlama(weights: weights, adapters: adapters)
    }

    private func backend(default isDefault: Bool = false) throws -> BackendDriver {
        let backend = try unloaded([
            .init(name: "first", path: first.path, isDefault: isDefault), .init(name: "second", path: second.path),
        ])
        try backend.load(model: "demo")
        return backend
    }

    private let request = Hearth_V1_GenerateRequest.question("Tell me a story about a fox.").endless(60)

    private func request(_ adapters: [(String, Float?)]) -> Hearth_V1_GenerateRequest {
        request.with {
            $0.adapters.adapters = adapters.map { name, scale in
                .with {
                    $0.name = name
                    if let scale { $0.scale = scale }
                }
            }
        }
    }

    @Test("An adapter changes the text, and a scale of 0, none and no adapters give the model's own")
    func effect() throws {
        let base = try BackendDriver.llama().complete(request).tokens
        let backend = try backend()
        #expect(try backend.complete(request).tokens == base)
        let with = try backend.complete(request([("first", nil)])).tokens
        #expect(with != base)
        #expect(try backend.complete(request([("first", 0)])).tokens == base)
        #expect(try backend.complete(request([("second", nil)])).tokens != with)
        #expect(try backend.complete(request([("first", 1)])).tokens == with)
        #expect(try backend.complete(request([])).tokens == base)
        let defaulted = try self.backend(default: true)
        #expect(try defaulted.complete(request).tokens == with)
        #expect(try defaulted.complete(request.with { $0.adapters = .init() }).tokens == base)
    }

    @Test("Sequences with different adapters complete at once as each of them does alone")
    func together() throws {
        let backend = try backend()
        let requests = [
            request, request([("first", nil)]), request([("second", nil)]),
            request([("second", nil), ("first", -0.5)]),
        ]
        let alone = try requests.map { try backend.complete($0).tokens }
        #expect(Set(alone).count == 4)
        for (sequence, request) in requests.enumerated() { try backend.start(UInt32(sequence), request) }
        #expect(try backend.finish(0..<4).map(\.tokens) == alone)
    }

    @Test("What was computed with one set of adapters is reused with the same set only")
    func reuse() throws {
        let backend = try backend()
        let long = Hearth_V1_GenerateRequest.text(String(repeating: "The fox went home. ", count: 12)).endless(4)
        let adapted = long.with { $0.adapters.adapters = [.with { $0.name = "first" }] }
        let scope: [UInt8] = [1]
        let expected = try backend.complete(adapted).tokens
        _ = try backend.complete(long, scope: scope)
        let other = try backend.complete(adapted, scope: scope)
        #expect(other.finish?.cachedPromptTokens == 0 && other.tokens == expected)
        let same = try backend.complete(adapted, scope: scope)
        #expect(same.finish?.cachedPromptTokens ?? 0 > 30 && same.tokens == expected)
    }

    @Test("A request for an adapter that is not there is refused with those that are")
    func unknown() throws {
        let fault = try #require(try backend().complete(request([("third", nil)])).fault)
        #expect(fault.code == .invalidArgument)
        #expect(fault.message == #""demo" has no adapter "third"; it has: first, second"#)
    }

    private func refusal(_ adapter: String, weights: String = Repository.demoModel) throws -> String {
        let backend = try unloaded([.init(name: "x", path: adapter)], weights: weights)
        let failure = try #require(throws: BackendDriver.Failure.self) { try backend.load(model: "demo") }
        guard case .fatal(let fault) = failure else { return "\(failure)" }
        #expect(fault.code == .badModel)
        return fault.message
    }

    @Test("A file that is no adapter of the model is refused with its name and the remedy")
    func refusals() throws {
        #expect(try refusal(Repository.demoModel).contains(#"the file of the adapter "x" is no adapter"#))
        #expect(
            try refusal(Repository.root + "/Package.swift").contains(#"the file of the adapter "x" is no GGUF file"#))
        let other = try TinyAdapter(seed: 1, architecture: "qwen2")
        #expect(try refusal(other.path).contains(#"the adapter "x" cannot be used with this model"#))
        let wide = try TinyAdapter(seed: 1, outputs: 256)
        #expect(try refusal(wide.path).contains("incorrect shape"))
        let alone = try refusal(first.path, weights: first.path)
        #expect(alone.contains(#"a LoRA adapter for models of the architecture "llama""#) && alone.contains("settings"))
    }

    @Test("Its memory is told by an inspection, and is enough")
    func memory() throws {
        let plain = try BackendDriver.unloadedLlama(dataMebibytes: 4_096).inspect()
        let adapter = BackendProgram.Adapter(name: "first", path: first.path)
        let inspected = try BackendDriver.unloadedLlama(dataMebibytes: 4_096, adapters: [adapter]).inspect()
        #expect(inspected.memoryBytes > plain.memoryBytes)
        let backend = try BackendDriver.unloadedLlama(
            dataMebibytes: inspected.memoryBytes >> 20 + 64, adapters: [adapter])
        try backend.load(model: "demo")
        #expect(backend.conversation.loaded?.maxSequences == inspected.maxSequences)
        #expect(try backend.complete(request([("first", nil)])).tokens.count == 60)
    }
}
