internal import BackendIPC
internal import LinuxSystem

// What a process has to show of its progress while it loads, and once it is ready.
extension BackendLifecycle {
    /// The progress of a load.
    struct Load: Equatable {
        let since: Monotonic
        let until: Monotonic
        var percent = 0
        /// The number of `LoadProgress` messages.
        var messages: UInt64 = 0

        /// A `LoadProgress`. Returns why the process is killed; nil: it goes on.
        mutating func progressed(
            _ fraction: Float, limits: SupervisorConfiguration.Limits, at now: Monotonic
        ) -> String? {
            guard fraction.isFinite else { return nil }
            percent = Int(max(0, min(1, fraction)) * 100)
            messages += 1
            let seconds = now.since(since) / 1_000_000_000
            guard messages > limits.progressMessagesMax &+ seconds &* limits.progressMessagesPerSecond else {
                return nil
            }
            return "broke the contract: LoadProgress came \(messages) times within \(seconds + 1) s; send it "
                + "at most ten times a second" + ContractClause.loadProgress.mark
        }

        func delayed(nanoseconds: UInt64) -> Load {
            Load(
                since: since.advanced(nanoseconds: nanoseconds), until: until.advanced(nanoseconds: nanoseconds),
                percent: percent, messages: messages)
        }
    }

    /// The progress that a ready backend has to show.
    struct Watchdog: Equatable {
        var readySince: Monotonic
        var pingAt: Monotonic
        var unanswered: UInt32 = 0
        var progress: UInt64 = 0
        /// When it last had nothing to do, or was seen to have done more than before.
        var progressAt: Monotonic
        var wasBusy = false
        /// Until when what another agent had begun on it has to end; nil: it has ended.
        var settlesBy: Monotonic?

        /// Slowness alone is no reason, as long as the parts of a step are computed in time.
        static let tooSlow = "it hangs, or one part of a step takes longer than that on this machine"

        /// A `Pong` (`BackendLifecycle.answered`). Returns why the process is killed; nil: it goes on.
        mutating func answered(
            progress: UInt64, isBusy: Bool, limits: SupervisorConfiguration.Limits, at now: Monotonic
        ) -> String? {
            unanswered = 0
            // What it has begun since the last answer may be a moment old: the time runs from the first answer that finds
            // it at work.
            if !isBusy || !wasBusy || progress != self.progress { progressAt = now }
            wasBusy = isBusy
            self.progress = progress
            guard now.since(progressAt) >= limits.stallMilliseconds &* 1_000_000 else { return nil }
            return "computed nothing for \(limits.stallMilliseconds) ms while sequences had credit or were cancelled: "
                + Self.tooSlow + ContractClause.progress.mark
        }

        /// A `Ping` is due. Returns why the process is killed instead; nil: it is pinged.
        mutating func pings(limits: SupervisorConfiguration.Limits, at now: Monotonic) -> String? {
            if unanswered >= limits.missedPingsMax {
                let silence = UInt64(unanswered) &* limits.pingIntervalMilliseconds
                return "answered no Ping for \(silence) ms: \(Self.tooSlow)" + ContractClause.pongInTime.mark
            }
            unanswered += 1
            pingAt = now.advanced(milliseconds: limits.pingIntervalMilliseconds)
            return nil
        }

        func delayed(nanoseconds: UInt64) -> Watchdog {
            var later = self
            later.readySince = readySince.advanced(nanoseconds: nanoseconds)
            later.pingAt = pingAt.advanced(nanoseconds: nanoseconds)
            later.progressAt = progressAt.advanced(nanoseconds: nanoseconds)
            later.settlesBy = settlesBy?.advanced(nanoseconds: nanoseconds)
            return later
        }
    }
}
