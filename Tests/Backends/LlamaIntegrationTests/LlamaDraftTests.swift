import BackendDriver
import BackendIPC
import InferenceMessages
import Testing

@Suite("What the llama backend drafts", .serialized)
struct LlamaDraftTests {
    private func backend(drafts: Bool) throws -> BackendDriver {
        let backend = try BackendDriver.unloadedLlama()
        try backend.load(model: "demo", draftLookup: drafts)
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
    ]

    @Test("Drafted tokens change no token, greedy or drawn, and are counted beside the others")
    func same() throws {
        let plain = try backend(drafts: false)
        let drafting = try backend(drafts: true)
        for request in requests {
            let expected = try plain.complete(request)
            let found = try drafting.complete(request)
            #expect(found.tokens == expected.tokens && found.text == expected.text)
            #expect(found.finish?.promptTokens == expected.finish?.promptTokens && found.reason == expected.reason)
            #expect(expected.finish?.draftedTokens == 0)
        }
        let finish = try #require(try drafting.complete(requests[0]).finish)
        #expect(finish.acceptedDraftTokens > 0 && finish.acceptedDraftTokens <= finish.draftedTokens)
    }

    @Test("Credit, the length and a stop token hold for drafted tokens too", arguments: [1, 2, 5])
    func bounds(credit: UInt32) throws {
        let backend = try backend(drafts: true)
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

    @Test("A stop string ends a completion at the same token as without drafts")
    func stopStrings() throws {
        let plain = try backend(drafts: false)
        let drafting = try backend(drafts: true)
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

    @Test("A conversation goes on behind what was drafted and refused as if nothing had been")
    func reuse() throws {
        let plain = try backend(drafts: false)
        let drafting = try backend(drafts: true)
        let scope: [UInt8] = [1]
        var prompt = Self.list
        for _ in 0..<3 {
            let request = Hearth_V1_GenerateRequest.text(prompt).endless(30)
            let expected = try plain.complete(request, scope: scope)
            let found = try drafting.complete(request, scope: scope)
            #expect(found.tokens == expected.tokens)
            prompt += expected.text + " nine ten "
        }
    }

    @Test("Several at once complete as each of them does alone")
    func together() throws {
        let backend = try backend(drafts: true)
        let alone = try requests.prefix(3).map { try backend.complete($0).tokens }
        for (sequence, request) in requests.prefix(3).enumerated() { try backend.start(UInt32(sequence), request) }
        #expect(try backend.finish(0..<3).map(\.tokens) == alone)
    }
}
