import EchoTokens
import Testing

@Suite("EchoTokens")
struct EchoTokensTests {
    @Test("the worked example of the README holds")
    func example() {
        let prompt = EchoPrompt(text: "hello world")
        #expect(prompt.digest == 0x779a_65e7_023c_d2e7)
        #expect(prompt.words.count == 2)
        let tokens = EchoTokens(seed: 7, prompt: prompt)
        #expect((0..<4).map { tokens.id(at: $0) } == [1163, 5130, 4396, 2963])
        #expect(tokens.text(0..<4) == " hifo hafis datas tiho")
    }

    @Test("the worked example of a conversation holds")
    func conversationExample() {
        let prompt = EchoPrompt(messages: [(role: 2, content: "hello world")])
        #expect(prompt.digest == 0xfd3e_711d_21fa_bb65)
        #expect(EchoTokens(seed: 7, prompt: prompt).text(0..<4) == " doti koyo napas kebe")
    }

    @Test(
        "a text has as many words as a prompt of it",
        arguments: ["", " ", "one", " one", "one ", "one two", "\t one \r\n two\u{b}three  ", "für\u{a0}sich 字"])
    func wordCount(text: String) {
        #expect(EchoPrompt.wordCount(of: text) == EchoPrompt(text: text).words.count)
    }

    @Test("every id has a text of its own")
    func distinct() {
        #expect(Set((0..<EchoTokens.vocabulary).map(EchoTokens.text)).count == Int(EchoTokens.vocabulary))
    }
}
