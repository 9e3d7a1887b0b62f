package import LimitDeclaration

extension SupervisorConfiguration {
    /// Every bound and interval of this target.
    package struct Limits: LimitGroup {
        /// Its files are read, or its launcher is started; at the limit it is abandoned.
        @Limit("A launch that makes no progress for this long is given up and tried again later.")
        package var launchMilliseconds: UInt64 = 30_000
        @Limit("Concurrent launches, those that hang included.")
        package var launchesMax: Int = 128
        @Limit("How long the inspection of a model's file may take; then the memory in its settings counts.")
        package var inspectionMilliseconds: UInt64 = 60_000
        @Limit("A backend that has sent no Hello this long after its start is restarted.")
        package var helloMilliseconds: UInt64 = 10_000
        @Limit("How long a load may take if the manifest names no time; then the backend is restarted.")
        package var loadMilliseconds: UInt64 = 600_000
        /// `LoadProgress`. The contract allows ten a second.
        @Limit("LoadProgress messages at once; a backend that sends more is restarted.")
        package var progressMessagesMax: UInt64 = 100
        @Limit("LoadProgress messages a second in the long run; a backend that sends more is restarted.")
        package var progressMessagesPerSecond: UInt64 = 20
        @Limit("How often a ready backend gets a Ping.")
        package var pingIntervalMilliseconds: UInt64 = 5_000
        @Limit("Unanswered Pings in a row at which a backend is restarted.")
        package var missedPingsMax: UInt32 = 3
        /// Work is an unfinished sequence with credit.
        @Limit("A backend that has work and makes no progress for this long is restarted.")
        package var stallMilliseconds: UInt64 = 60_000

        @Limit("The wait before a backend's first restart; each further one waits twice as long.")
        package var backoffFirstMilliseconds: UInt64 = 250
        @Limit("The longest wait before a restart of a backend.")
        package var backoffMaxMilliseconds: UInt64 = 120_000
        @Limit("After a backend was ready for this long, its next restart counts as the first.")
        package var healthyMilliseconds: UInt64 = 60_000
        @Limit(
            "After a process of a backend has sent or embedded so many tokens, its next restart counts as the first.")
        package var workedTokensMin: UInt64 = 16
        @Limit("Losses of a backend in a row after which requests for its model are refused while it waits to restart.")
        package var lossesInARowMax: Int = 10
        /// A change of one of the machine's settings has it tried before.
        @Limit("How long until the agent retries a backend whose sandbox this machine cannot provide.")
        package var hostRetryMilliseconds: UInt64 = 60_000
        /// Counted from the close of its socket, or from the end of its launcher.
        @Limit("How long a backend may take to end by itself; then it is killed.")
        package var exitMilliseconds: UInt64 = 1_000
        @Limit("How long a killed backend may take to be gone; then the agent stops waiting for it.")
        package var killedMilliseconds: UInt64 = 5_000
        @Limit("How long a removed or replaced backend may take to end; then it is killed.")
        package var replaceGraceMilliseconds: UInt64 = 5_000

        /// Its keeper freezes it, and says when it is done.
        @Limit("How long a paused backend may take to stand still; then it is killed.")
        package var freezeMilliseconds: UInt64 = 2_000

        /// It ends what ran on it within a step of its computing.
        @Limit("How long a backend may take to end what an earlier agent had begun on it; then it is restarted.")
        package var settleMilliseconds: UInt64 = 20_000

        /// It is to be replaced because its executable or settings changed.
        @Limit("How long sequences may go on after their backend has changed; then they end.")
        package var drainMilliseconds: UInt64 = 300_000

        /// 0: only when asked to.
        @Limit("How often the agent checks the folder of backends.")
        package var rescanMilliseconds: UInt64 = 1_000
        /// The file is still being written.
        @Limit("A file is not run before it has been unchanged for this long.")
        package var settledMilliseconds: UInt64 = 500
        /// Weights are copied for longer, with longer pauses.
        @Limit("Weights are not loaded before they have been unchanged for this long.")
        package var weightsSettledMilliseconds: UInt64 = 2_000
        @Limit("How long reading touched weights may take; then they count as changed.")
        package var weightsCheckMilliseconds: UInt64 = 750
        @Limit("Entries of a folder of backends or of models that are read; that there are more is told.")
        package var folderEntriesMax: Int = 1_024
        @Limit("The shortest time between two readings of the available memory.")
        package var memoryReadMilliseconds: UInt64 = 250
        @Limit("Processes of backends whose manifests name their models; no more are started.")
        package var backendsMax: Int = 64
        /// Only a model with several processes asks for them.
        @Limit("Callers that a process remembers, so that their next requests come to it.")
        package var recentScopesMax: Int = 256
        @Limit("Files of the folders of models that are served; further ones are not.")
        package var folderModelsMax: Int = 1_000

        @Limit("Bytes of a backend's output that are kept.")
        package var logBytesMax: Int = 64 << 10
        @Limit("Lines of a backend's output that are kept.")
        package var logLinesMax: Int = 500
        @Limit("A line of a backend's output; longer ones are cut.")
        package var logLineBytesMax: Int = 4 << 10
        @Limit("Bytes of a backend's output that are read in a quarter of a second; then the backend waits.")
        package var logReadBytesMax: Int = 256 << 10
        @Limit("Lines and pieces of a backend's output that are read in a quarter of a second; then it waits.")
        package var logReadLinesMax: Int = 2_000

        @Limit("A backend's message; one that sends a longer one is restarted.")
        package var backendFrameBytesMax: Int = 1 << 20
        /// A step takes about a microsecond: four frames or runs of tokens, or 512 bytes.
        @Limit("Steps of about 1 µs spent on a backend's messages before other work gets its turn.")
        package var readStepsPerTurnMax: Int = 1_000
        /// A Ping waits behind these bytes, and a backend that has long prompts to read must not be taken for dead.
        @Limit("Bytes that a backend has not read; above it no new sequence begins on it.")
        package var outputBytesMax: Int = 4 << 20
        @Limit("Sequences of a backend if the manifest names no number.")
        package var sequencesDefault: UInt32 = 64
        @Limit("Sequences of a model in a folder of models if its settings name no number.")
        package var folderModelSequences: UInt32 = 4
        @Limit("Sequences of a backend, whatever its manifest names.")
        package var sequencesMax: UInt32 = 4_096

        @Limit("Unanswered CountTokens, Tokenize and the like; the next one is RESOURCE_EXHAUSTED.")
        package var tokenQueriesMax: Int = 16
        @Limit("How long a backend may take to answer CountTokens, Tokenize and the like.")
        package var tokenQueryMilliseconds: UInt64 = 30_000

        package init() {}
    }
}
