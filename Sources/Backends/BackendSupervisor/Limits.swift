extension SupervisorConfiguration {
    /// Every bound and interval of this target; the agent shows them to its owner by name.
    package struct Limits: Sendable {
        /// A launch whose files are read, or whose launcher is started, without getting any further; then nobody waits
        /// for it any more.
        package var launchMilliseconds: UInt64 = 30_000
        /// Launches at once, those that hang included.
        package var launchesMax: Int = 128
        /// From the start of a backend to its `Hello`.
        package var helloMilliseconds: UInt64 = 10_000
        /// For `Load`, where the manifest names no time.
        package var loadMilliseconds: UInt64 = 600_000
        /// `LoadProgress` messages of one load: so many at once, and so many more for each second that it takes. The
        /// contract allows ten a second.
        package var progressMessagesMax: UInt64 = 100
        package var progressMessagesPerSecond: UInt64 = 20
        /// How often a ready backend is asked for its progress.
        package var pingIntervalMilliseconds: UInt64 = 5_000
        /// Intervals in a row without a `Pong` after which a backend is restarted.
        package var missedPingsMax: UInt32 = 3
        /// Without any progress although sequences with credit are unfinished, before a backend is restarted.
        package var stallMilliseconds: UInt64 = 60_000

        /// Before the first restart; doubles with each one that follows.
        package var backoffFirstMilliseconds: UInt64 = 250
        package var backoffMaxMilliseconds: UInt64 = 30_000
        /// Ready for this long, a backend counts as healthy and its next restart is a first one again.
        package var healthyMilliseconds: UInt64 = 60_000
        /// Restarts within the window; one more, and the backend is left failed for as long as the window is.
        package var restartsMax: Int = 10
        package var restartWindowMilliseconds: UInt64 = 600_000
        /// Until a backend that this machine cannot hold as demanded is tried again, unless one of its settings changes before.
        package var hostRetryMilliseconds: UInt64 = 60_000
        /// From a backend's closing of its socket, or the end of its launcher, until it has to be gone.
        package var exitMilliseconds: UInt64 = 1_000
        /// From its kill until nobody waits for its exit any more.
        package var killedMilliseconds: UInt64 = 5_000
        /// For a backend to end when its executable was removed while it runs, or once it is drained.
        package var replaceGraceMilliseconds: UInt64 = 5_000

        /// For what runs on a backend whose executable or settings were changed; then it ends, and the new one starts.
        package var drainMilliseconds: UInt64 = 300_000

        /// How often the backends folder is looked at; 0: only when asked to.
        package var rescanMilliseconds: UInt64 = 1_000
        /// An executable or a manifest that changed more recently than this is still being written.
        package var settledMilliseconds: UInt64 = 500
        /// The same of weights, which are copied for longer, with longer pauses.
        package var weightsSettledMilliseconds: UInt64 = 2_000
        /// To read weights that may have changed under a running backend, before they count as changed.
        package var weightsCheckMilliseconds: UInt64 = 750
        /// Entries of the folder that are looked at, and processes that may come of them.
        package var folderEntriesMax: Int = 1_024
        package var backendsMax: Int = 64

        /// A backend's captured output: kept, and read per quarter of a second before it has to wait.
        package var logBytesMax: Int = 64 << 10
        package var logLinesMax: Int = 500
        package var logLineBytesMax: Int = 4 << 10
        package var logReadBytesMax: Int = 256 << 10
        package var logReadLinesMax: Int = 2_000

        /// The longest frame that a backend may send.
        package var backendFrameBytesMax: Int = 1 << 20
        /// Read from one backend before the others have their turn, in steps of about a microsecond: four frames or runs of
        /// tokens, or 512 bytes.
        package var readStepsPerTurnMax: Int = 1_000
        /// Waiting to be read by a backend; beyond it nothing new is begun. A Ping waits behind it, and a backend that has
        /// long prompts to read must not be taken for dead.
        package var outputBytesMax: Int = 4 << 20
        /// Sequences of one backend, where the manifest names no number, and at most.
        package var sequencesDefault: UInt32 = 64
        package var sequencesMax: UInt32 = 4_096

        /// `CountTokens` without an answer, and how long one may take.
        package var tokenQueriesMax: Int = 16
        package var tokenQueryMilliseconds: UInt64 = 30_000

        package init() {}

        /// Name, value and meaning of each, in the order above.
        package var named: [(name: String, value: UInt64, meaning: String)] {
            Mirror(reflecting: self).children.compactMap { child in
                guard let name = child.label, let number = child.value as? any BinaryInteger else { return nil }
                return (name, UInt64(clamping: number), Self.meanings[name] ?? "")
            }
        }

        private static let meanings = [
            "launchMilliseconds": "For a launch to get any further; then the backend is launched again later.",
            "launchesMax": "Launches at once, those that hang included.",
            "helloMilliseconds": "From a backend's start to its Hello; then it is restarted.",
            "loadMilliseconds": "For a model to load, where the manifest names no time; then it is restarted.",
            "progressMessagesMax": "Messages about a load at once; a backend that sends more is restarted.",
            "progressMessagesPerSecond": "And in the long run.",
            "pingIntervalMilliseconds": "How often a ready backend is asked for its progress.",
            "missedPingsMax": "Times in a row that it does not answer; then it is restarted.",
            "stallMilliseconds": "Without progress although it has work; then it is restarted.",
            "backoffFirstMilliseconds": "Before the first restart; doubles with each.",
            "backoffMaxMilliseconds": "And at most.",
            "healthyMilliseconds": "Ready for so long, its next restart counts as the first.",
            "restartsMax": "Restarts within the window; then it is left failed for that long.",
            "restartWindowMilliseconds": "The window.",
            "hostRetryMilliseconds": "Until a backend that this machine cannot hold is tried again.",
            "exitMilliseconds": "For a backend to end by itself; then it is killed.",
            "killedMilliseconds": "For a killed backend to be gone; then the agent goes on without it.",
            "replaceGraceMilliseconds": "The same when it was removed, or is replaced after its drain.",
            "drainMilliseconds": "For what runs on a backend that is to be replaced; then it ends.",
            "rescanMilliseconds": "How often the backends folder is looked at.",
            "settledMilliseconds": "A file that changed more recently is not run yet.",
            "weightsSettledMilliseconds": "Weights that changed more recently are not loaded yet.",
            "weightsCheckMilliseconds": "To read touched weights; then they count as changed.",
            "folderEntriesMax": "Entries of the folder that are looked at.",
            "backendsMax": "Processes that come of them.",
            "logBytesMax": "A backend's output that is kept.",
            "logLinesMax": "Its lines.",
            "logLineBytesMax": "One of them; longer ones are cut.",
            "logReadBytesMax": "Output read per quarter of a second; then the backend waits.",
            "logReadLinesMax": "Lines of it, and pieces, likewise.",
            "backendFrameBytesMax": "A backend's message; one that sends a longer one is restarted.",
            "readStepsPerTurnMax": "Steps of reading a backend before the others get their turn.",
            "outputBytesMax": "Unread by a backend; beyond it nothing new is begun.",
            "sequencesDefault": "Sequences of a backend, where the manifest names no number.",
            "sequencesMax": "And at most.",
            "tokenQueriesMax": "Unanswered CountTokens; the next one is RESOURCE_EXHAUSTED.",
            "tokenQueryMilliseconds": "How long one may take.",
        ]
    }
}
