import Testing

@testable import ChatTerminal

struct PromptAssemblerTests {
    private func assembled(_ lines: [String]) -> [PromptAssembler.Outcome] {
        var assembler = PromptAssembler()
        return lines.map { assembler.take($0) }
    }

    @Test func `a line is a prompt`() {
        #expect(assembled(["a \"\"\""]) == [.prompt("a \"\"\"", isQuoted: false, typed: "a \"\"\"")])
    }

    @Test(
        "lines between quotes are one prompt",
        arguments: [
            (["\"\"\"", "a", "b", "\"\"\""], "a\nb"), (["\"\"\"a", "b\"\"\""], "a\nb"), (["\"\"\"a\"\"\""], "a"),
            (["  \"\"\"a", "", "/b", "\"\"\"  "], "a\n\n/b"), (["\"\"\"\"\"\""], ""), (["\"\"\"a\nb\"\"\""], "a\nb"),
            (["\"\"\"", "\"\"\""], ""),
        ])
    func quotes(lines: [String], text: String) {
        let outcomes = assembled(lines)
        #expect(outcomes.dropLast().allSatisfy { $0 == .more })
        #expect(outcomes.last == .prompt(text, isQuoted: true, typed: lines.joined(separator: "\n")))
    }

    @Test func `what is given up is forgotten`() {
        var assembler = PromptAssembler()
        #expect(assembler.take("\"\"\"a") == .more)
        #expect(assembler.isOpen)
        assembler.giveUp()
        #expect(!assembler.isOpen)
        #expect(assembler.take("b") == .prompt("b", isQuoted: false, typed: "b"))
    }
}
