/// What a look at the folder means for one backend, by how it stands and what it is to be.
enum FolderDecision: Equatable {
    /// It goes on as it is.
    case keep
    /// It runs from now on; if it was about to end, or drains to be something else, it goes on.
    case start
    /// It is left alone as long as another backend serves its model.
    case yield(to: String)
    /// What runs on it may end; then it starts as what it is to be.
    case drain
    /// Nothing runs: it starts as what it is to be, as if for the first time.
    case startAnew
    /// What kept it from running may be gone.
    case retry

    enum Standing: Equatable {
        /// It was not started yet, or was stopped.
        case idle
        /// A process runs, or will without anybody's doing.
        case running
        case draining
        /// For its weights.
        case waiting
        /// Another backend served its model when somebody looked last.
        case yielding
        /// It failed, or is to be started again after a loss.
        case failed
        /// It was asked to end for good, and has not ended.
        case leaving
    }

    /// - Parameters:
    ///   - isSame: whether it is to be what it was to be before.
    ///   - isSameAsRuns: whether it is to be what runs now.
    ///   - rival: the backend that serves its model.
    ///   - filesHaveChanged: a file that it needs is not as it was when it was launched.
    ///   - weightsAreThere: whole, or there need be none.
    init(
        _ standing: Standing, isSame: Bool, isSameAsRuns: Bool, rival: String? = nil, filesHaveChanged: Bool = false,
        weightsAreThere: Bool = true
    ) {
        if let rival {
            self = .yield(to: rival)
            return
        }
        switch standing {
        case .idle: self = .start
        case .leaving: self = isSameAsRuns ? .start : .drain
        case .draining: self = isSameAsRuns ? .start : .drain
        case .running: self = isSame ? .keep : .drain
        case .waiting: self = !isSame ? .startAnew : weightsAreThere ? .retry : .keep
        case .yielding: self = .startAnew
        case .failed: self = !isSame ? .startAnew : filesHaveChanged ? .retry : .keep
        }
    }
}
