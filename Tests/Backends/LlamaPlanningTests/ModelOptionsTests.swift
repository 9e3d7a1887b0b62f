import Testing

@testable import LlamaPlanning

@Suite("ModelOptions")
struct ModelOptionsTests {
    @Test("Without options caches are whole; cacheType quantises them")
    func cacheType() throws {
        #expect(try ModelOptions([:]).cacheType == .f16)
        #expect(try ModelOptions(["cacheType": "q8_0"]).cacheType == .q80)
        #expect(try ModelOptions(["cacheType": "f16"]).cacheType == .f16)
    }

    @Test("cacheTokens is a number of tokens")
    func cacheTokens() throws {
        #expect(try ModelOptions([:]).cacheTokens == nil)
        #expect(try ModelOptions(["cacheTokens": "65536", "cacheType": "q8_0"]).cacheTokens == 65_536)
    }

    @Test(
        "What is not understood is refused by name",
        arguments: [
            (["cacheTyp": "q8_0"], "'cacheTyp' is unknown"), (["cacheType": "q8"], "is 'q8'; it is one of f16, q8_0"),
            (["cacheType": ""], "is ''"), (["cacheTokens": "0"], "is '0'"), (["cacheTokens": "1e3"], "is '1e3'"),
            (["cacheTokens": "2147483648"], "from 1 to 2147483647"), (["cacheTokens": "-1"], "is '-1'"),
            (["cacheType": "f16", "x": "1"], "'x'"),
        ] as [([String: String], String)])
    func refusals(options: [String: String], part: String) {
        let refusal = #expect(throws: ModelOptions.Refusal.self) { try ModelOptions(options) }
        #expect(refusal?.sentence.contains(part) == true)
    }
}
