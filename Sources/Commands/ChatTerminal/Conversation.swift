package import InferenceMessages
internal import SwiftProtobuf

/// The questions and answers so far, and the number of the oldest ones that the model no longer gets.
package struct Conversation: Equatable, Sendable {
    struct Turn: Equatable {
        let question: String
        let answer: String
    }

    /// The system's instructions before the conversation.
    package var system: String?
    private(set) var turns: [Turn] = []
    /// The number of oldest turns that the model's context has no room for any more.
    package private(set) var forgotten = 0

    package init(system: String?) { self.system = system }

    /// The messages for the model: its instructions, the turns that it still gets, and the question.
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

    /// Leaves out the oldest turn that the model gets; returns false if it gets none.
    package mutating func forgetOldest() -> Bool {
        guard forgotten < turns.count else { return false }
        forgotten += 1
        return true
    }

    package mutating func clear() { (turns, forgotten) = ([], 0) }

    package var isEmpty: Bool { turns.isEmpty }
    package var turnCount: Int { turns.count }
}
