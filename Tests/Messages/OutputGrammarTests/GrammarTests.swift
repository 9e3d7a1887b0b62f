import OutputGrammar
import Testing

struct GrammarTests {
    private func accepts(_ grammar: String, _ text: String) throws -> Bool {
        GrammarWalk.accepts(text, try Grammar(grammar.utf8))
    }

    private func refusal(_ grammar: String) -> String {
        do {
            _ = try Grammar(grammar.utf8)
            return "taken"
        } catch { return error.description }
    }

    @Test(
        "a text is followed through rules, sets, groups and repetitions",
        arguments: [
            ("root ::= \"a\" [b-d] [^x\\n] .", ["abzq", "adéx"], ["abx", "aez", "abxq", "abzqq"]),
            ("root ::= (\"a\" | \"b\"\n \"c\")+ \"\\x41\"?", ["a", "bca", "aA"], ["", "b", "A"]),
            (
                "root ::= x{2} y{1,3} z{2,} w*\nx ::= \"x\"\ny::=\"y\" # y\nz ::= [z]\nw ::= \"w\"",
                ["xxyzz", "xxyyyzzzw"], ["xyzz", "xxyyyyzz", "xxyz"]
            ),
            ("root ::= \"(\" root \")\" | \"\"", ["", "(())"], ["(()", ")"]),
        ])
    func acceptance(grammar: String, good: [String], bad: [String]) throws {
        for text in good { #expect(try accepts(grammar, text), "\(text)") }
        for text in bad { #expect(try !accepts(grammar, text), "\(text)") }
    }

    @Test(
        "what is wrong with a grammar is told with its line and column",
        arguments: [
            ("", "is empty"), ("root = \"a\"", "line 1, column 6: \"::=\""), ("a ::= \"b\"", "no rule \"root\""),
            ("root ::= \"a", "line 1, column 12: the text ends"),
            ("root ::= b\n", "line 1, column 10: the rule \"b\" is named"),
            ("root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: the rule \"root\" is defined twice"),
            ("root ::= root \"a\" | \"b\"", "begins with itself (\"root\")"),
            ("root ::= e root | \"b\"\ne ::= f f\nf ::= \"\"", "begins with itself"),
            ("root ::= \"a\" root", "no text that ever ends"), ("root ::= [z-a]", "ends before it begins"),
            ("root ::= []", "this set is empty"),
            ("root ::= \"a\"{2001}", "line 1, column 13: more than 2000 repetitions"), ("root ::= *", "nothing before"),
            ("root ::= (\"a\" \"b\"{0,50}){0,50}", "more than 2000"), ("root ::= \"a\"{3,2}", "less at most"),
            ("root ::= \"\\q\"", "unknown escape"), ("root ::= <[12]>", "tokens cannot be named"),
            ("root ::= \(String(repeating: "(", count: 100_000))", "nested deeper than 64"),
            ("root ::= \"a\" \u{0}", "a byte 0"), ("root ::= \"\\UFFFFFFFF\"", "no scalar"),
            (String(repeating: "a", count: 300_000), "has 300000 bytes"), ("root ::= é", "is expected"),
        ])
    func refusals(grammar: String, says: String) {
        #expect(refusal(grammar).contains(says), "\(refusal(grammar))")
    }

    @Test func `a grammar that explodes is refused`() {
        // Each rule begins with the next one twice.
        let twice = (0..<40).map { "r\($0) ::= r\($0 + 1) | r\($0 + 1)" }.joined(separator: "\n")
        #expect(refusal("root ::= r0\n\(twice)\nr40 ::= \"a\"").contains("can begin in more than"))
        let wide = (0..<30).map { _ in "\"a\"{0,2000}" }.joined(separator: " ")
        #expect(refusal("root ::= \(wide)").contains("there are more than"))
    }
}
