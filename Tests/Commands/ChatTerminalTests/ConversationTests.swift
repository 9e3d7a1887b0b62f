import InferenceMessages
import Testing

@testable import ChatTerminal

struct ConversationTests {
    private func conversation(system: String? = nil, _ turns: [(String, String)]) -> Conversation {
        var made = Conversation(system: system)
        for (question, answer) in turns { made.note(question: question, answer: answer) }
        return made
    }

    @Test func `a file of it is one that a person can read`() {
        let made = conversation(system: "You are terse.", [("What is\ntwo?", "Two.\n\nOr 2."), ("And?", "")])
        #expect(
            made.file == """
                hearth conversation 1

                = You are terse.

                > What is
                > two?
                < Two.
                <
                < Or 2.

                > And?
                <

                """)
    }

    @Test(
        "a file of it says exactly the same again",
        arguments: [
            ("a", "b"), ("", ""), ("> a", "< b"), ("\n", "\n\n"), ("= x\n\n", "hearth conversation 1"),
            ("a\r\nb\r", "\t c "),
            ("\u{1B}]52;c;aGk=\u{7}", #"\u{1b} \ "#), ("\u{1B}\\", "\u{85}\u{2028}x\u{202E}\\u{41}"),
            ("日本 é", "👩‍👧\u{0}"),
            ("e", "\u{301}combining first"), ("\u{301}", "\\"),
        ])
    func exact(question: String, answer: String) throws {
        for system in [nil, "", "a\n> b", "\u{1B}"] {
            let made = conversation(system: system, [(question, answer), (answer, question)])
            let read = try Conversation(file: made.file)
            #expect(read == made)
            for (one, other) in zip(read.turns, made.turns) {
                #expect(Array(one.question.unicodeScalars) == Array(other.question.unicodeScalars))
                #expect(Array(one.answer.unicodeScalars) == Array(other.answer.unicodeScalars))
            }
        }
    }

    @Test func `nothing in a file can steer a terminal`() {
        let file = conversation([("\u{1B}[2J\r", "\u{9B}31m\u{202E}\u{7F}")]).file
        #expect(file.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F || $0 == "\n" })
    }

    @Test(
        "what is no such file is refused with what is wrong",
        arguments: [
            ("", "no conversation"), ("> hello\n\nthe answer\n", "earlier version"), ("{}", "no conversation"),
            ("hearth conversation 1\n> a", "no answer"), ("hearth conversation 1\nxyz", "line 2"),
            ("hearth conversation 1\n< a\n> b", "take turns"), ("hearth conversation 1\n> a\n\n> b", "take turns"),
            ("hearth conversation 1\n>\\\\u{110000}\n< a", "line 2"), ("hearth conversation 1\n>\\\\x\n< a", "line 2"),
            ("hearth conversation 1\n> a\n= b", "take turns"), ("hearth conversation 1\n>a\n< b", "line 2"),
        ])
    func refused(file: String, why: String) {
        #expect {
            _ = try Conversation(file: file)
        } throws: { "\($0)".contains(why) }
    }

    @Test func `the oldest turns are forgotten one by one, and all by a clear`() {
        var made = conversation(system: "s", [("1", "a"), ("2", "b")])
        #expect(made.messages(asking: "3").map(\.content) == ["s", "1", "a", "2", "b", "3"])
        let first = made.forgetOldest()
        #expect(first && made.messages(asking: "3").map(\.content) == ["s", "2", "b", "3"])
        let others = [made.forgetOldest(), made.forgetOldest()]
        #expect(others == [true, false])
        #expect(made.file.contains("> 1"))
        made.clear()
        #expect(made.isEmpty && made.forgotten == 0 && made.messages(asking: "3").map(\.role) == [.system, .user])
    }
}
