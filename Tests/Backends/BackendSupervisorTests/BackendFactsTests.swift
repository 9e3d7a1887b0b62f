import BackendIPC
import Testing

@testable import BackendSupervisor

struct BackendFactsTests {
    private let hello = Hello(
        name: "a\u{1b}[31m", version: "2",
        capabilities: [Hello.tools, Hello.stopStrings, Hello.reasoning] + Hello.ofAgent)

    @Test func `a Hello tells what matters to consumers, fit for a terminal`() {
        var facts = BackendFacts()
        facts.heard(hello)
        #expect(facts.capabilities.first == Hello.generate)
        #expect(facts.capabilities.contains(Hello.tools) && facts.capabilities.contains(Hello.reasoning))
        #expect(Hello.ofAgent.allSatisfy { !facts.capabilities.contains($0) })
        #expect(facts.matchesStops && facts.version.hasSuffix("/2") && !facts.version.contains("\u{1b}"))
        #expect(facts.maxSequences == 0 && facts.maxContextTokens == 0)
    }

    @Test func `a Loaded tells of the model, and takes away what that lacks`() {
        var facts = BackendFacts()
        facts.heard(hello)
        facts.heard(
            Loaded(
                maxContextTokens: 512, maxSequences: 3, samplingDefaults: [8, 1], embeddingDimensions: 16,
                lacking: [Hello.generate, Hello.tools]))
        #expect(!facts.capabilities.contains(Hello.generate) && !facts.capabilities.contains(Hello.tools))
        #expect(facts.capabilities.contains(Hello.reasoning))
        #expect((facts.maxContextTokens, facts.maxSequences, facts.embeddingDimensions) == (512, 3, 16))
        #expect(facts.samplingDefaults == [8, 1])
    }

    @Test func `another process tells anew`() {
        var facts = BackendFacts()
        facts.heard(hello)
        facts.heard(Hello(name: "b", version: "3"))
        #expect(facts.version == "b/3" && facts.capabilities == [Hello.generate] && !facts.matchesStops)
    }
}
