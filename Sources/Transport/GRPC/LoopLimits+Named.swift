package import EventLoop

extension LoopLimits {
    /// Every limit, for the owner. A step is about 100 ns of one core (`WorkSteps`).
    package var named: [NamedLimit] {
        [
            NamedLimit(
                "eventsPerTurnMax", eventsPerTurnMax,
                "Sockets served in a turn of the loop, and as many of the owner and of backends, which come first."),
            NamedLimit("timersPerTurnMax", timersPerTurnMax, "Timers that fire in a turn."),
            NamedLimit("jobsPerTurnMax", jobsPerTurnMax, "Pieces of asynchronous work in a turn."),
            NamedLimit("flushesPerTurnMax", flushesPerTurnMax, "Connections that send or close at a turn's end."),
            NamedLimit(
                "unfinishedStepsPerTurnMax", unfinishedStepsPerTurnMax,
                "Work in a turn, in 100 ns of a core, that earlier turns were too short for, of all callers together."),
            NamedLimit("unfinishedStepsAtOnceMin", unfinishedStepsAtOnceMin, "The least of it that one gets at once."),
        ]
    }
}
