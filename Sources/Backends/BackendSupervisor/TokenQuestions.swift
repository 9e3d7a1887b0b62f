package import BackendIPC
internal import EventLoop

/// Why a prompt was not counted.
package enum UncountedPrompt: Error, Equatable {
    /// The backend cannot count it, or not now.
    case refused(Fault)
    /// The backend is gone, and the question with it. The reason is a sentence about the backend.
    case lost(String)
}

/// The `CountTokens` of one backend process that have no answer yet. The I/O loop's own; bounded by its owner.
@IOLoop
final class TokenQuestions {
    private struct Question {
        /// Nil once its time is over; the backend still owes the answer.
        var completion: (@IOLoop (Result<UInt32, UncountedPrompt>) -> Void)?
        var timer: Timer
    }

    private var open: [UInt32: Question] = [:]
    private var lastNumber: UInt32 = 0

    nonisolated init() {}

    /// The questions that the backend has yet to answer.
    var count: Int { open.count }

    func ask(timeoutMilliseconds: UInt64, _ completion: @escaping @IOLoop (Result<UInt32, UncountedPrompt>) -> Void)
        -> UInt32
    {
        repeat { lastNumber &+= 1 } while open[lastNumber] != nil
        let number = lastNumber
        let timer = IOLoop.schedule(afterMilliseconds: timeoutMilliseconds) { [weak self] in
            self?.giveUp(number, afterMilliseconds: timeoutMilliseconds)
        }
        open[number] = Question(completion: completion, timer: timer)
        return number
    }

    func answer(_ number: UInt32, _ result: Result<UInt32, UncountedPrompt>) {
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
        completion(
            .failure(
                .refused(Fault(.overloaded, "the prompt was not counted within \(afterMilliseconds) ms; try again"))))
    }
}
