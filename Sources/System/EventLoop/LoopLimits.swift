/// What bounds a turn of the I/O loop, so that whatever many sources do, none of them waits for long.
///
/// Work is counted in steps of about 100 ns (`WorkSteps`).
package struct LoopLimits: Sendable {
    /// Descriptors that are served in a turn, of those watched as `.first` and of the others; the rest comes in the next
    /// turns, those first that have waited for longest.
    package var eventsPerTurnMax = 64
    /// Timers that fire in a turn; those that are overdue go on in the next.
    package var timersPerTurnMax = 128
    /// Pieces of asynchronous functions that run in a turn.
    package var jobsPerTurnMax = 64
    /// Connections that send, or close, at a turn's end.
    package var flushesPerTurnMax = 128
    /// What is spent in a turn on work that earlier turns left unfinished, for all sources together.
    package var unfinishedStepsPerTurnMax = 20_000
    /// The least that one source gets of it at once. Fewer sources get more.
    package var unfinishedStepsAtOnceMin = 2_500

    package init() {}
}
