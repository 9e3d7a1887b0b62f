/// What a look at the folder means for one backend, by how it stands and what it is to be.
enum FolderDecision: Equatable {
    /// It goes on as it is.
    case keep
    /// It runs from now on; if it was about to end, or drains to be something else, it goes on.
    case start
    /// Nothing runs: the next request starts it.
    case rest
    /// It is left alone as long as another backend serves its model.
    case yield(to: String)
    /// What runs on it may end; then it starts as what it is to be, at once or when a request comes.
    case drain
    /// Nothing runs: it starts as what it is to be, as if for the first time.
    case startAnew
    /// What kept it from running may be gone.
    case retry

    enum Standing: Equatable {
        /// It was not started yet, or was stopped.
        case idle
        /// It starts when a request comes.
        case resting
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
    ///   - isOnDemand: whether it runs only when requests come.
    ///   - rival: the backend that serves its model.
    ///   - filesHaveChanged: a file that it needs is not as it was when it was launched.
    ///   - weightsAreThere: whole, or there need be none.
    init(
        _ standing: Standing, isSame: Bool, isSameAsRuns: Bool, isOnDemand: Bool = false, rival: String? = nil,
        filesHaveChanged: Bool = false, weightsAreThere: Bool = true
    ) {
        if let rival {
            self = .yield(to: rival)
            return
        }
        switch standing {
        case .idle: self = isOnDemand ? .rest : .start
        case .resting: self = isOnDemand ? .keep : .start
        case .leaving: self = isSameAsRuns ? .start : .drain
        case .draining: self = isSameAsRuns ? .start : .drain
        case .running: self = isSame ? .keep : .drain
        case .waiting where isSame && !weightsAreThere: self = .keep
        case .failed where isSame && !filesHaveChanged: self = .keep
        case .waiting, .failed, .yielding:
            self = isOnDemand ? .rest : isSame && standing != .yielding ? .retry : .startAnew
        }
    }
}
