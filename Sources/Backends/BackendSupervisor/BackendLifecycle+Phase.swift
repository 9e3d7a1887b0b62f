internal import LinuxSystem

extension BackendLifecycle {
    enum Phase: Equatable {
        /// Nothing was asked for yet.
        case idle
        /// The executable and the weights are checked and the launcher is started. After `until`, unless there was
        /// progress, the launch is abandoned.
        case launching(until: Monotonic)
        /// The process runs; its `Hello` is due.
        case greeting(until: Monotonic)
        case loading(Load)
        case ready(Watchdog)
        /// It closed its socket or gave up, and may end by itself. `reason` nil: the description of its exit is the
        /// reason.
        case ending(reason: String?, killAt: Monotonic)
        /// It was killed; its exit is awaited until then.
        case killed(reason: String, until: Monotonic)
        case backingOff(until: Monotonic)
        /// It was asked to end, and is killed at this moment.
        case stopping(killAt: Monotonic)
        case stopped
        /// Its model is not in memory; the next request starts it.
        case resting
        /// Its weights are missing or not whole; a look at the folder reports when that changes.
        case waiting
        /// Another backend serves its model; a look at the folder reports when that changes.
        case yielding
        /// It is left alone until its owner, or a change of what it needs, starts it again, or until `retryAt`.
        case failed(retryAt: Monotonic?)
        /// It is to run, and starts when its owner ends the pause.
        case held
        /// Another agent goes on with its process, or starts it.
        case passedOn

        /// What stands still in a pause, with its times so much later.
        func delayed(nanoseconds: UInt64) -> Phase {
            switch self {
            case .greeting(let until): .greeting(until: until.advanced(nanoseconds: nanoseconds))
            case .loading(let load): .loading(load.delayed(nanoseconds: nanoseconds))
            case .ready(let watchdog): .ready(watchdog.delayed(nanoseconds: nanoseconds))
            case .backingOff(let until): .backingOff(until: until.advanced(nanoseconds: nanoseconds))
            case .failed(let retryAt): .failed(retryAt: retryAt?.advanced(nanoseconds: nanoseconds))
            case .idle, .launching, .ending, .killed, .stopping, .stopped, .resting, .waiting, .yielding, .held,
                .passedOn:
                self
            }
        }

        /// Everything that is due, so much later.
        func postponed(nanoseconds: UInt64) -> Phase {
            switch self {
            case .launching(let until): .launching(until: until.advanced(nanoseconds: nanoseconds))
            case .ending(let reason, let killAt):
                .ending(reason: reason, killAt: killAt.advanced(nanoseconds: nanoseconds))
            case .killed(let reason, let until):
                .killed(reason: reason, until: until.advanced(nanoseconds: nanoseconds))
            case .stopping(let killAt): .stopping(killAt: killAt.advanced(nanoseconds: nanoseconds))
            default: delayed(nanoseconds: nanoseconds)
            }
        }
    }

    enum Action: Equatable {
        case launch
        /// Abandon the launch under way; end the process that comes of it.
        case abandonLaunch
        /// Tell the launch under way that its process is not wanted; it still ends.
        case callOffLaunch
        /// Freeze the process, and report when it is frozen.
        case freeze
        case thaw
        case ping
        case shutDown(graceMilliseconds: UInt64)
        /// Hear no more from the process and kill it.
        case kill
        /// Wait no more for the exit of the killed process.
        case letGo
        /// Report its sequences and questions as lost. `isFailure`: the process failed at its work.
        case lose(reason: String, isFailure: Bool = false)
    }

    /// What comes after the end of a process.
    enum Afterwards: Equatable { case start, stop, rest, passOn }

    /// The drain of a ready backend: running sequences may go on for a bounded time, and no new ones begin.
    struct Drain: Equatable {
        let until: Monotonic
        let why: String
        /// Its owner wants it started anew, whatever a look at the folder finds.
        var isRestart = false

        func delayed(nanoseconds: UInt64) -> Drain {
            Drain(until: until.advanced(nanoseconds: nanoseconds), why: why, isRestart: isRestart)
        }
    }

    /// A pause by the owner.
    struct Pause: Equatable {
        let since: Monotonic
        /// A process that is not frozen then is killed.
        let freezeUntil: Monotonic
        var isFrozen = false

        func delayed(nanoseconds: UInt64) -> Pause {
            Pause(
                since: since.advanced(nanoseconds: nanoseconds),
                freezeUntil: freezeUntil.advanced(nanoseconds: nanoseconds), isFrozen: isFrozen)
        }
    }
}
