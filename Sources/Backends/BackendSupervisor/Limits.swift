package import LimitDeclaration

extension SupervisorConfiguration {
    /// Every bound and interval of this target.
    package struct Limits: LimitGroup {
        /// Its files are read, or its launcher is started; nobody waits for it any more.
        @Limit("For a launch to get any further; then the backend is launched again later.")
        package var launchMilliseconds: UInt64 = 30_000
        @Limit("Launches at once, those that hang included.")
        package var launchesMax: Int = 128
        @Limit("From a backend's start to its Hello; then it is restarted.")
        package var helloMilliseconds: UInt64 = 10_000
        @Limit("For a model to load, where the manifest names no time; then it is restarted.")
        package var loadMilliseconds: UInt64 = 600_000
        /// `LoadProgress`. The contract allows ten a second.
        @Limit("Messages about a load at once; a backend that sends more is restarted.")
        package var progressMessagesMax: UInt64 = 100
        @Limit("And in the long run.")
        package var progressMessagesPerSecond: UInt64 = 20
        @Limit("How often a ready backend is asked for its progress.")
        package var pingIntervalMilliseconds: UInt64 = 5_000
        @Limit("Times in a row that it does not answer; then it is restarted.")
        package var missedPingsMax: UInt32 = 3
        /// Sequences with credit are unfinished.
        @Limit("Without progress although it has work; then it is restarted.")
        package var stallMilliseconds: UInt64 = 60_000

        @Limit("Before the first restart; doubles with each.")
        package var backoffFirstMilliseconds: UInt64 = 250
        @Limit("And at most.")
        package var backoffMaxMilliseconds: UInt64 = 30_000
        @Limit("Ready for so long, its next restart counts as the first.")
        package var healthyMilliseconds: UInt64 = 60_000
        @Limit("Restarts within the window; then it is left failed for that long.")
        package var restartsMax: Int = 10
        @Limit("The window.")
        package var restartWindowMilliseconds: UInt64 = 600_000
        /// Unless one of the machine's settings changes before.
        @Limit("Until a backend that this machine cannot hold is tried again.")
        package var hostRetryMilliseconds: UInt64 = 60_000
        /// From its closing of its socket, or the end of its launcher.
        @Limit("For a backend to end by itself; then it is killed.")
        package var exitMilliseconds: UInt64 = 1_000
        @Limit("For a killed backend to be gone; then the agent goes on without it.")
        package var killedMilliseconds: UInt64 = 5_000
        @Limit("The same when it was removed, or is replaced after its drain.")
        package var replaceGraceMilliseconds: UInt64 = 5_000

        /// Its executable or settings were changed.
        @Limit("For what runs on a backend that is to be replaced; then it ends.")
        package var drainMilliseconds: UInt64 = 300_000

        /// 0: only when asked to.
        @Limit("How often the backends folder is looked at.")
        package var rescanMilliseconds: UInt64 = 1_000
        /// It is still being written.
        @Limit("A file that changed more recently is not run yet.")
        package var settledMilliseconds: UInt64 = 500
        /// They are copied for longer, with longer pauses.
        @Limit("Weights that changed more recently are not loaded yet.")
        package var weightsSettledMilliseconds: UInt64 = 2_000
        @Limit("To read touched weights; then they count as changed.")
        package var weightsCheckMilliseconds: UInt64 = 750
        @Limit("Entries of the folder that are looked at.")
        package var folderEntriesMax: Int = 1_024
        @Limit("Processes that come of them.")
        package var backendsMax: Int = 64

        @Limit("A backend's output that is kept.")
        package var logBytesMax: Int = 64 << 10
        @Limit("Its lines.")
        package var logLinesMax: Int = 500
        @Limit("One of them; longer ones are cut.")
        package var logLineBytesMax: Int = 4 << 10
        @Limit("Output read per quarter of a second; then the backend waits.")
        package var logReadBytesMax: Int = 256 << 10
        @Limit("Lines of it, and pieces, likewise.")
        package var logReadLinesMax: Int = 2_000

        @Limit("A backend's message; one that sends a longer one is restarted.")
        package var backendFrameBytesMax: Int = 1 << 20
        /// Of about a microsecond: four frames or runs of tokens, or 512 bytes.
        @Limit("Steps of reading a backend before the others get their turn.")
        package var readStepsPerTurnMax: Int = 1_000
        /// A Ping waits behind it, and a backend that has long prompts to read must not be taken for dead.
        @Limit("Unread by a backend; beyond it nothing new is begun.")
        package var outputBytesMax: Int = 4 << 20
        @Limit("Sequences of a backend, where the manifest names no number.")
        package var sequencesDefault: UInt32 = 64
        @Limit("And at most.")
        package var sequencesMax: UInt32 = 4_096

        @Limit("Unanswered CountTokens; the next one is RESOURCE_EXHAUSTED.")
        package var tokenQueriesMax: Int = 16
        @Limit("How long one may take.")
        package var tokenQueryMilliseconds: UInt64 = 30_000

        package init() {}
    }
}
