extension ManagedBackend {
    /// The state of a backend, as its owner and consumers are told.
    package enum State: String, Sendable {
        case starting, loading, ready
        /// Running sequences go on; then the backend is replaced by what its owner has changed. New requests wait for
        /// that one.
        case draining
        case backingOff = "backing off"
        /// Its weights are not there, or not whole; it starts by itself once they are.
        case waiting
        /// Its model is not in memory; a request loads it.
        case unloaded
        /// Its owner lets nothing compute: its process stands still, or is not started.
        case paused
        case stopped, failed
        /// Its files are not those that its owner has accepted; it is not started until its owner trusts them.
        case untrusted
    }
}

// The phase as seen from outside.
extension BackendLifecycle {
    var state: ManagedBackend.State {
        switch phase {
        case .launching, .greeting, .held, .passedOn: .starting
        case .loading: .loading
        case .ready: drain == nil ? .ready : .draining
        case .ending, .killed, .backingOff: .backingOff
        case .stopping: startsAgain ? .starting : restsAfterwards ? .unloaded : .stopped
        case .resting: .unloaded
        case .idle, .stopped: .stopped
        case .waiting: .waiting
        case .yielding, .failed: .failed
        }
    }

    /// What its owner should know about the state; empty when all is well.
    var stateDetail: String {
        switch phase {
        case .ready:
            drain.map {
                "\($0.why); what runs on it goes on, for \(limits.drainMilliseconds / 1_000) s at most"
            } ?? ""
        case .loading(let load): "\(load.percent) % loaded"
        case .ending(let reason, _): reason ?? detail
        case .killed(let reason, _): reason
        case .stopping where restsAfterwards: "its memory is being given back"
        default: detail
        }
    }

    /// Why its process ends that has not ended yet, where its agent knows it: it was killed for it, or gave up.
    var whyItEnds: String? {
        switch phase {
        case .ending(let reason, _): reason
        case .killed(let reason, _): reason
        default: nil
        }
    }

    /// How it stands when the effect of a look at the folder is decided.
    var standing: FolderDecision.Standing {
        switch phase {
        case .idle, .stopped: .idle
        case .launching, .greeting, .loading, .ending, .killed, .held, .passedOn: .running
        case .ready: drain?.isRestart ?? true ? .running : .draining
        case .stopping: startsAgain ? .running : restsAfterwards ? .resting : .leaving
        case .resting: .resting
        case .waiting: .waiting
        case .yielding: .yielding
        case .backingOff, .failed: .failed
        }
    }
}
