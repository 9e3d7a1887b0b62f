/// Why a request could not load the model of a backend that rests. Pure.
struct LoadObstacle: Equatable {
    /// The end of a sentence about the backend.
    let sentence: String
    /// Whether its owner has to mend it; otherwise it is enough to wait.
    let isFinal: Bool

    /// Nil: a request could load it. `wait`: what it waits for, where its weights are not there.
    init?(_ weights: [WeightsLook], inspected: InspectedFile?, wait: @autoclosure () -> String?) {
        if let refusal = weights.refusal {
            (sentence, isFinal) = (refusal, true)
        } else if case .refused(let refusal) = inspected {
            (sentence, isFinal) = (refusal, true)
        } else if !weights.areThere {
            (sentence, isFinal) = (wait() ?? "", false)
        } else {
            return nil
        }
    }
}
