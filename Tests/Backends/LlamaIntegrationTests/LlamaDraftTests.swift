import BackendDriver
import BackendIPC
import BackendProgram
import InferenceMessages
import TestPlaces
import Testing

@Suite("What the llama backend drafts", .serialized)
struct LlamaDraftTests {
    /// Where its drafts come from.
    enum Source: CaseIterable {
        case lookup
        /// The model itself.
        case twin
        /// One that guesses wrong at times.
        case cousin
        /// One that computes numbers without sense.
        case stranger
        /// The sequence, and the model itself where nothing is found there.
        case both
    }

    /// The demo model with noise in its last matrix: of each block of 34 bytes the first two are its scale.
    private let cousin: ChangedModel
    /// The demo model with scales out of bounds.
    private let stranger: ChangedModel

    init() throws {
        cousin = try ChangedModel { bytes in
            for block in stride(from: bytes.count - 52_224, to: bytes.count, by: 34) { bytes[block + 5] ^= 0x40 }
        }
        stranger = try ChangedModel { bytes in
            for block in stride(from: bytes.count - 52_224, to: bytes.count, by: 340) { bytes[block + 1] |= 0x7c }
        }
    }

    private func backend(_ source: Source?, contextTokens: UInt32 = 0) throws -> BackendDriver {
        let draft: String? =
            switch source {
            case .twin, .both: Repository.demoModel
            case .cousin: cousin.path
            case .stranger: stranger.path
            case .lookup, nil: nil
            }
        let backend = try BackendDriver.unloadedLlama(draft: draft)
        try backend.load(
            model: "demo", contextTokens: contextTokens, draftLookup: source == .lookup || source == .both)
        return backend
    }

    private static let list = String(repeating: "one two three four five six seven eight ", count: 6)
    private let requests = [
        Hearth_V1_GenerateRequest.text(list).endless(90),
        .question("Tell me a story about a fox."), .question("Count to twenty."),
        .text(list).endless(90).with {
            $0.sampling.temperature = 1
            $0.sampling.seed = 5
            $0.sampling.frequencyPenalty = 0.5
        },
        // To the end of the context.
        .question("Tell me a long story.").endless(100_000),
    ]

    @Test("Drafted tokens change no token, greedy or drawn, and are counted beside the others")
    func same() throws {
        let plain = try backend(nil)
        let expected = try requests.map { try plain.complete($0) }
        #expect(expected.allSatisfy { $0.finish?.draftedTokens == 0 })
        for source in Source.allCases {
            let drafting = try backend(source)
            var drafted: UInt32 = 0
            var accepted: UInt32 = 0
            for (request, expected) in zip(requests, expected) {
                let found = try drafting.complete(request)
                #expect(found.tokens == expected.tokens && found.text == expected.text, "\(source)")
                #expect(found.finish?.promptTokens == expected.finish?.promptTokens && found.reason == expected.reason)
                drafted += found.finish?.draftedTokens ?? 0
                accepted += found.finish?.acceptedDraftTokens ?? 0
            }
            #expect(accepted <= drafted, "\(source)")
            if source != .stranger { #expect(accepted > 0, "\(source)") }
            if source == .cousin { #expect(accepted < drafted, "it guesses wrong at times") }
        }
    }

    @Test(
        "Credit, the length and a stop token hold for drafted tokens too",
        arguments: [(1, .lookup), (2, .lookup), (5, .lookup), (2, .cousin), (5, .twin)] as [(UInt32, Source)])
    func bounds(credit: UInt32, source: Source) throws {
        let backend = try backend(source)
        let whole = try backend.complete(requests[0]).tokens
        // The driver checks every run against the credit.
        try backend.start(0, requests[0], credit: credit)
        try backend.listen(toTokens: Int(credit), of: 0)
        while backend.completions[0]?.finish == nil {
            let had = backend.completions[0]?.tokens.count ?? 0
            try backend.say(.credit(Credit(sequence: 0, tokens: credit)))
            try backend.listen {
                $0.completions[0]?.finish != nil || ($0.completions[0]?.tokens.count ?? 0) >= had + Int(credit)
            }
        }
        #expect(backend.completions[0]?.tokens == whole)
        for length in [1, 7, 30] as [UInt32] {
            let cut = try backend.complete(requests[0].endless(length))
            #expect(cut.tokens == Array(whole.prefix(Int(length))) && cut.reason == .length)
        }
        let stop = whole[40]
        let stopped = try backend.complete(requests[0].with { $0.stopping.stopTokenIds = [stop] })
        #expect(stopped.tokens == Array(whole.prefix { $0 != stop }) && stopped.finish?.stopTokenID == stop)
    }

    @Test("A stop string ends a completion at the same token as without drafts", arguments: [Source.lookup, .twin])
    func stopStrings(source: Source) throws {
        let plain = try backend(nil)
        let drafting = try backend(source)
        let whole = try plain.complete(requests[0]).text
        for place in [5, 60, 61, 150] {
            let stop = String(whole.dropFirst(place).prefix(5))
            let request = requests[0].with { $0.stopping.stop = [stop] }
            let expected = try plain.complete(request)
            let found = try drafting.complete(request)
            #expect(found.tokens == expected.tokens && found.text == expected.text)
            #expect(found.reason == .stop && found.finish?.stop == 0)
        }
    }

    @Test(
        "A conversation goes on behind what was drafted and refused as if nothing had been",
        arguments: [Source.lookup, .cousin])
    func reuse(source: Source) throws {
        let plain = try backend(nil)
        let drafting = try backend(source)
        var prompt = Self.list
        for turn in 0..<3 {
            let request = Hearth_V1_GenerateRequest.text(prompt).endless(30)
            let expected = try plain.complete(request, scope: [1])
            let found = try drafting.complete(request, scope: [1])
            #expect(found.tokens == expected.tokens)
            // Another conversation that begins as this one did, and one of another scope in between.
            let branch = Hearth_V1_GenerateRequest.text(prompt + "nine").endless(20)
            #expect(
                try drafting.complete(branch, scope: [1]).tokens == plain.complete(branch, scope: [1]).tokens)
            if turn == 1 { _ = try drafting.complete(requests[1], scope: [2]) }
            prompt += expected.text + " nine ten "
        }
    }

    @Test("Several at once complete as each of them does alone", arguments: [Source.lookup, .cousin, .both])
    func together(source: Source) throws {
        let backend = try backend(source)
        let alone = try requests.prefix(3).map { try backend.complete($0).tokens }
        for (sequence, request) in requests.prefix(3).enumerated() { try backend.start(UInt32(sequence), request) }
        #expect(try backend.finish(0..<3).map(\.tokens) == alone)
    }

    @Test("After a cancel its number and its caches serve the next")
    func cancel() throws {
        let backend = try backend(.cousin)
        let whole = try backend.complete(requests[0]).tokens
        for count in [1, 9, 25] {
            try backend.start(0, requests[4])
            try backend.listen(toTokens: count, of: 0)
            try backend.say(.cancel(Cancel(sequence: 0)))
            #expect([.cancelled, .length].contains(try backend.finish(0).reason))
            #expect(try backend.complete(requests[0]).tokens == whole)
        }
    }

    @Test("A draft model stops where its own training did")
    func shortDraft() throws {
        let short = try ChangedModel { ChangedModel.set("llama.context_length", to: UInt32(64), in: &$0) }
        let backend = try BackendDriver.unloadedLlama(draft: short.path)
        try backend.load(model: "demo")
        let expected = try self.backend(nil).complete(requests[0])
        let found = try backend.complete(requests[0])
        #expect(found.tokens == expected.tokens)
        let finish = try #require(found.finish)
        #expect((1...64).contains(finish.promptTokens) && finish.draftedTokens <= 64 - finish.promptTokens)
    }

    private func refusal(_ draft: String, weights: String = Repository.demoModel) throws -> String {
        let backend = try BackendDriver.unloadedLlama(weights: weights, draft: draft)
        let failure = try #require(throws: BackendDriver.Failure.self) { try backend.load(model: "demo") }
        guard case .fatal(let fault) = failure else { return "\(failure)" }
        #expect(fault.code == .badModel)
        return fault.message
    }

    @Test("A file that cannot draft for the model is refused with the reason and the remedy")
    func refusals() throws {
        let other = try ChangedModel { bytes in
            ChangedModel.replace(ChangedModel.counted("Ġthe"), with: ChangedModel.counted("Ġxyz"), in: &bytes)
            ChangedModel.set("general.name", to: "other-demo", in: &bytes)
            ChangedModel.set(
                "general.description", to: ChangedModel.string("general.description", in: bytes) + " ", in: &bytes)
        }
        let vocabulary = try refusal(other.path)
        #expect(vocabulary.contains(#"the draft model ("other-demo") cannot draft for the model ("hearth-demo")"#))
        #expect(vocabulary.contains(#"as "Ġxyz", and not as "Ġthe"; name a smaller model"#))
        #expect(
            try refusal(Repository.root + "/Package.swift").contains("the file of the draft model is no GGUF file"))
        let cut = try ChangedModel { $0.removeLast($0.count / 2) }
        #expect(try refusal(cut.path).contains("the file of the draft model is cut"))
        let adapter = try TinyAdapter(seed: 1)
        #expect(try refusal(adapter.path).contains("the file of the draft model is a LoRA adapter"))
        let unknown = try ChangedModel { ChangedModel.set("general.architecture", to: "mamma", in: &$0) }
        #expect(try refusal(unknown.path).contains("the draft model"))
    }

    @Test("Its memory is told by an inspection, and is enough")
    func memory() throws {
        let plain = try BackendDriver.unloadedLlama(dataMebibytes: 4_096).inspect()
        let inspected = try BackendDriver.unloadedLlama(dataMebibytes: 4_096, draft: cousin.path).inspect()
        #expect(inspected.memoryBytes > plain.memoryBytes && inspected.contextBytes > plain.contextBytes)
        let backend = try BackendDriver.unloadedLlama(
            dataMebibytes: inspected.memoryBytes >> 20 + 64, draft: cousin.path)
        try backend.load(model: "demo")
        #expect(backend.conversation.loaded?.maxSequences == inspected.maxSequences)
        // With so short a prompt the draft model catches up in one batch, so that its first draft goes by no measurement.
        #expect(try backend.complete(.text("one two").endless(90)).finish?.draftedTokens ?? 0 > 0)
    }
}
