internal import LinuxSystem

extension BackendLifecycle {
    enum Phase: Equatable {
        /// Nothing was asked for yet.
        case idle
        /// The executable and the weights are checked and the launcher is started. Once the time is over without any
        /// progress, nobody waits for it any more.
        case launching(until: Monotonic)
        /// The process runs; its `Hello` is due.
        case greeting(until: Monotonic)
        case loading(Load)
        case ready(Watchdog)
        /// It closed its socket or gave up, and may end by itself. Without a reason the exit's own words tell it.
        case ending(reason: String?, killAt: Monotonic)
        /// It was killed; its exit is due, and then nobody waits for it any more.
        case killed(reason: String, until: Monotonic)
        case backingOff(until: Monotonic)
        /// It was asked to end, and is killed at this moment.
        case stopping(killAt: Monotonic)
        case stopped
        /// Its model is not in memory; the next request starts it.
        case resting
        /// What it is to load is not there, or not whole; whoever sees that change says so.
        case waiting
        /// Another backend serves its model; whoever sees that change says so.
        case yielding
        /// It is left alone until its owner, or a change of what it needs, starts it again. With a moment: until then.
        case failed(retryAt: Monotonic?)
    }

    enum Action: Equatable {
        case launch
        /// Wait no more for the launch that is under way; end what comes of it.
        case abandonLaunch
        case ping
        case shutDown(graceMilliseconds: UInt64)
        /// Hear no more from the process and kill it.
        case kill
        /// Wait no more for the exit of the killed process.
        case letGo
        /// Its sequences and questions have come to nothing.
        case lose(reason: String)
    }

    /// What comes after the end of a process.
    enum Afterwards: Equatable { case start, stop, rest }

    /// How long what runs may go on before a ready backend ends; nothing is begun.
    struct Drain: Equatable {
        let until: Monotonic
        let why: String
    }

    /// How far a load is.
    struct Load: Equatable {
        let since: Monotonic
        let until: Monotonic
        var percent = 0
        /// How often it was told.
        var messages: UInt64 = 0
    }

    /// What a ready backend has to show.
    struct Watchdog: Equatable {
        let readySince: Monotonic
        var pingAt: Monotonic
        var unanswered: UInt32 = 0
        var progress: UInt64 = 0
        /// When it last had nothing to do, or was seen to have done more than before.
        var progressAt: Monotonic
        var wasBusy = false
    }
}
