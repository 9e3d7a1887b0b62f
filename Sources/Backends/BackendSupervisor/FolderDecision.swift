/// The effect of a look at the folder on one backend, decided by how it stands and by its new definition.
enum FolderDecision: Equatable {
    /// It goes on as it is.
    case keep
    /// It runs from now on; if it was about to end, or drains to be something else, it goes on.
    case start
    /// Nothing runs: the next request starts it.
    case rest
    /// It is left alone as long as another backend serves its model.
    case yield(to: String)
    /// Running sequences may end; then it starts with its new definition, at once or when a request comes.
    case drain
    /// Nothing runs: it starts with its new definition, as if for the first time.
    case startAnew
    /// Its obstacle may be gone.
    case retry

    enum Standing: Equatable {
        /// It was not started yet, or was stopped.
        case idle
        /// It starts when a request comes.
        case resting
        /// A process runs, or will by itself.
        case running
        case draining
        /// It waits for its weights.
        case waiting
        /// Another backend served its model at the last look.
        case yielding
        /// It failed, or is to be started again after a loss.
        case failed
        /// It was asked to end for good, and has not ended.
        case leaving
    }

    /// - Parameters:
    ///   - isSame: whether its new definition is the one before.
    ///   - isSameAsRuns: whether its new definition is that of the process that runs.
    ///   - isOnDemand: whether it runs only when requests come.
    ///   - rival: the backend that serves its model in its stead.
    ///   - filesHaveChanged: a file that it needs is not as it was when it was launched.
    ///   - weightsAreThere: they are whole, or the model has none.
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
