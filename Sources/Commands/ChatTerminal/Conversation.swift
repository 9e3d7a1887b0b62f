package import InferenceMessages
internal import SwiftProtobuf

/// What was asked and answered, and what of it the model still gets to see.
package struct Conversation: Equatable, Sendable {
    struct Turn: Equatable {
        let question: String
        let answer: String
    }

    /// The instructions that stand before it.
    package var system: String?
    private(set) var turns: [Turn] = []
    /// Turns, from the oldest, that the model's context has no room for any more.
    package private(set) var forgotten = 0

    package init(system: String?) { self.system = system }

    /// What the model gets: its instructions, the turns that it still sees, and the question.
    package func messages(asking question: String) -> [Hearth_V1_Message] {
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

    package mutating func note(question: String, answer: String) {
        turns.append(Turn(question: question, answer: answer))
    }

    /// Leaves the oldest turn out of what the model sees; false when it sees none.
    package mutating func forgetOldest() -> Bool {
        guard forgotten < turns.count else { return false }
        forgotten += 1
        return true
    }

    package mutating func clear() { (turns, forgotten) = ([], 0) }

    package var isEmpty: Bool { turns.isEmpty }
    package var turnCount: Int { turns.count }
}
