internal import InferenceMessages
internal import SwiftProtobuf

/// What was asked and answered, and what of it the model still gets to see.
struct Conversation {
    private struct Turn {
        let question: String
        let answer: String
    }

    private let system: String?
    private var turns: [Turn] = []
    /// Turns, from the oldest, that the model's context has no room for any more.
    private(set) var forgotten = 0

    init(system: String?) { self.system = system }

    /// What the model gets: its instructions, the turns that it still sees, and the question.
    func messages(asking question: String) -> [Hearth_V1_Message] {
        var messages: [Hearth_V1_Message] = []
        func add(_ role: Hearth_V1_Role, _ content: String) {
            messages.append(.with { ($0.role, $0.content) = (role, content) })
        }
        if let system { add(.system, system) }
        for turn in turns[forgotten...] {
            add(.user, turn.question)
            add(.assistant, turn.answer)
        }
        add(.user, question)
        return messages
    }

    mutating func note(question: String, answer: String) { turns.append(Turn(question: question, answer: answer)) }

    /// Leaves the oldest turn out of what the model sees; false when it sees none.
    mutating func forgetOldest() -> Bool {
        guard forgotten < turns.count else { return false }
        forgotten += 1
        return true
    }

    var isEmpty: Bool { turns.isEmpty }

    /// All of it, for a file: questions after "> ".
    var transcript: String {
        turns.map { turn in
            let question = turn.question.split(separator: "\n", omittingEmptySubsequences: false)
                .map { "> \($0)" }.joined(separator: "\n")
            return "\(question)\n\n\(turn.answer)\n"
        }.joined(separator: "\n")
    }
}
