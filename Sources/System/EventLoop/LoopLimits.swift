package import LimitDeclaration

/// The limits of a turn of the I/O loop, so that no source waits for long, whatever many others do.
///
/// Work is counted in steps of about 100 ns (`WorkSteps`).
package struct LoopLimits: LimitGroup {
    /// Sockets watched as `.first` come first. The rest is served in the next turns, the longest-waiting first.
    @Limit("Sockets served in a turn of the loop, and as many of the owner and of backends, which come first.")
    package var eventsPerTurnMax: Int = 64
    /// The other due timers fire in the next turn.
    @Limit("Timers that fire in a turn.")
    package var timersPerTurnMax: Int = 128
    @Limit("Pieces of asynchronous work in a turn.")
    package var jobsPerTurnMax: Int = 64
    @Limit("Connections that send or close at a turn's end.")
    package var flushesPerTurnMax: Int = 128
    @Limit("Work in a turn, in 100 ns of a core, that earlier turns were too short for, of all callers together.")
    package var unfinishedStepsPerTurnMax: Int = 20_000
    /// Fewer sources get more.
    @Limit("The least work that one caller gets at once of unfinishedStepsPerTurnMax.")
    package var unfinishedStepsAtOnceMin: Int = 2_500

    package init() {}
}
