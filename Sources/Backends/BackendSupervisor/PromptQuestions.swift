package import BackendIPC
internal import EventLoop

/// Why a question about a prompt was not answered.
package enum UnansweredQuestion: Error, Equatable {
    /// The backend cannot answer it, or not now.
    case refused(Fault)
    /// The backend is gone, and the question with it. The reason is a sentence about the backend.
    case lost(String)
}

/// A question about the prompt of a request.
package enum PromptQuestion: Sendable {
    /// The number of its tokens.
    case count
    /// Its tokens.
    case tokens
    /// The text that it becomes.
    case text

    /// The capability of a backend that can answer it.
    package var capability: String {
        switch self {
        case .count: Hello.countTokens
        case .tokens, .text: Hello.tokenize
        }
    }
}

package enum PromptAnswer: Equatable, Sendable {
    case count(UInt32)
    /// A serialized `hearth.v1.TokenizeResponse`.
    case tokens([UInt8])
    /// Whatever the backend says; it may be no UTF-8.
    case text([UInt8])
}

/// The questions about prompts that one backend process has not answered yet. The I/O loop's own; bounded by its owner.
@IOLoop
final class PromptQuestions {
    private struct Question {
        /// Nil once its time is over; the backend still owes the answer.
        var completion: (@IOLoop (Result<PromptAnswer, UnansweredQuestion>) -> Void)?
        var timer: Timer
    }

    private var open: [UInt32: Question] = [:]
    private var lastNumber: UInt32

    /// - Parameter lastNumber: the numbers of its questions follow.
    nonisolated init(after lastNumber: UInt32 = 0) { self.lastNumber = lastNumber }

    /// The questions that the backend has yet to answer.
    var count: Int { open.count }

    func ask(
        timeoutMilliseconds: UInt64, _ completion: @escaping @IOLoop (Result<PromptAnswer, UnansweredQuestion>) -> Void
    ) -> UInt32 {
        // Embeddings have the upper half (`RunningEmbeddings`).
        repeat { lastNumber = (lastNumber &+ 1) & (.max >> 1) } while open[lastNumber] != nil
        let number = lastNumber
        let timer = IOLoop.schedule(afterMilliseconds: timeoutMilliseconds) { [weak self] in
            self?.giveUp(number, afterMilliseconds: timeoutMilliseconds)
        }
        open[number] = Question(completion: completion, timer: timer)
        return number
    }

    func answer(_ number: UInt32, _ result: Result<PromptAnswer, UnansweredQuestion>) {
        guard let question = open.removeValue(forKey: number) else { return }
        question.timer.cancel()
        question.completion?(result)
    }

    func loseAll(_ reason: String) {
        let questions = open.values
        open = [:]
        for question in questions {
            question.timer.cancel()
            question.completion?(.failure(.lost(reason)))
        }
    }

    private func giveUp(_ number: UInt32, afterMilliseconds: UInt64) {
        guard let completion = open[number]?.completion else { return }
        open[number]?.completion = nil
        let sentence = "the question about the prompt was not answered within \(afterMilliseconds) ms; try again"
        completion(.failure(.refused(Fault(.overloaded, sentence))))
    }
}

extension PromptAnswer {
    init(_ content: Tokenized.Content) {
        switch content {
        case .tokens(let bytes): self = .tokens(bytes)
        case .text(let bytes): self = .text(bytes)
        }
    }
}
