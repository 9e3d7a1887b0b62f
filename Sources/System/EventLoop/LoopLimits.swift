package import LimitDeclaration

/// The limits of a turn of the I/O loop, so that no source waits for long, whatever many others do.
///
/// Work is counted in steps of about 100 ns (`WorkSteps`).
package struct LoopLimits: LimitGroup {
    /// Sockets watched as `.first` come first. The rest is served in the next turns, the longest-waiting first.
    @Limit("Sockets served in a turn of the loop, after as many of the owner and of backends.")
    package var eventsPerTurnMax: Int = 64
    /// The other due timers fire in the next turn.
    @Limit("Timers that fire in a turn of the loop.")
    package var timersPerTurnMax: Int = 128
    @Limit("Asynchronous jobs run in a turn of the loop.")
    package var jobsPerTurnMax: Int = 64
    @Limit("Connections that send or close at the end of a turn.")
    package var flushesPerTurnMax: Int = 128
    @Limit("Unfinished work of earlier turns done in a turn, of all callers together, in 100 ns of a core.")
    package var unfinishedStepsPerTurnMax: Int = 20_000
    /// Fewer sources get more.
    @Limit("The smallest share of unfinishedStepsPerTurnMax that one caller gets at once.")
    package var unfinishedStepsAtOnceMin: Int = 2_500

    package init() {}
}
