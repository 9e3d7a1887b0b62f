internal import LinuxSystem

/// Until when an idle model is kept in memory, by `Monotonic.awake`. A request can only add to the time that others have
/// asked for. Pure.
struct KeepAlive: Equatable, Sendable {
    private enum Length: Equatable {
        case seconds(UInt32)
        case forever
    }

    /// The longest time that a request has asked for since the model was idle last; nil: there was no request.
    private var asked: Length?
    /// Until when earlier requests want the model kept.
    private var keptUntil: Monotonic?

    /// A request has begun; `askedSeconds` nil: it wants the model kept for ever.
    mutating func used(askedSeconds: UInt32?) {
        switch (asked, askedSeconds) {
        case (.forever?, _), (_, nil): asked = .forever
        case (.seconds(let most)?, let seconds?): asked = .seconds(max(most, seconds))
        case (nil, let seconds?): asked = .seconds(seconds)
        }
    }

    /// The machine has slept for so long, which counts as time of which the clock of the others does not know.
    mutating func slept(nanoseconds: UInt64) { keptUntil = keptUntil?.earlier(nanoseconds: nanoseconds) }

    /// The last request has ended. `usualSeconds` hold where there was none; nil: for ever. Returns until when the
    /// model is kept; nil: for ever.
    mutating func becameIdle(usualSeconds: UInt32?, at now: Monotonic) -> Monotonic? {
        switch asked ?? usualSeconds.map(Length.seconds) ?? .forever {
        case .forever: return nil
        case .seconds(let seconds):
            let until = max(keptUntil ?? now, now.advanced(milliseconds: UInt64(seconds) * 1_000))
            // A model that was just loaded, for a request yet to begin, is kept for the usual time, which no request
            // has asked for.
            if asked != nil { keptUntil = until }
            asked = nil
            return until
        }
    }
}
