internal import LinuxSystem

/// Until when a model that nobody uses is kept in memory. A request can only add to what others have asked for: nobody can
/// have a model given up that somebody else wants kept. Pure.
struct KeepAlive: Equatable, Sendable {
    private enum Length: Equatable {
        case seconds(UInt32)
        case forever
    }

    /// The most that requests have asked for since it was idle last; nil: there was none.
    private var asked: Length?
    /// What those before have asked for.
    private var keptUntil: Monotonic?

    /// A request has begun; nil: it wants it kept for ever.
    mutating func used(askedSeconds: UInt32?) {
        switch (asked, askedSeconds) {
        case (.forever?, _), (_, nil): asked = .forever
        case (.seconds(let most)?, let seconds?): asked = .seconds(max(most, seconds))
        case (nil, let seconds?): asked = .seconds(seconds)
        }
    }

    /// The last one has ended; `usualSeconds` hold where there was none, and nil means for ever. Returns until when it is kept;
    /// nil: for ever.
    mutating func becameIdle(usualSeconds: UInt32?, at now: Monotonic) -> Monotonic? {
        switch asked ?? usualSeconds.map(Length.seconds) ?? .forever {
        case .forever: return nil
        case .seconds(let seconds):
            let until = max(keptUntil ?? now, now.advanced(milliseconds: UInt64(seconds) * 1_000))
            // It was just loaded, for a request that is yet to begin: nobody has asked for this.
            if asked != nil { keptUntil = until }
            asked = nil
            return until
        }
    }
}
