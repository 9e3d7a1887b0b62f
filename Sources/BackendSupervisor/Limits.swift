extension SupervisorConfiguration {
    /// Every bound and interval of this target; the agent shows them to its owner by name.
    package struct Limits: Sendable {
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
        /// Restarts within the window; one more, and the backend is left failed.
        package var restartsMax: Int = 10
        package var restartWindowMilliseconds: UInt64 = 600_000
        /// From a backend's closing of its socket, or the end of its launcher, until it has to be gone.
        package var exitMilliseconds: UInt64 = 1_000
        /// For a backend to end when its executable was removed or replaced while it runs.
        package var replaceGraceMilliseconds: UInt64 = 5_000

        /// How often the backends folder is looked at; 0: only when asked to.
        package var rescanMilliseconds: UInt64 = 2_000
        /// A file that changed more recently than this is still being written.
        package var settledMilliseconds: UInt64 = 500
        /// Entries of the folder that are looked at, and processes that may come of them.
        package var folderEntriesMax: Int = 1_024
        package var backendsMax: Int = 64

        /// A backend's captured output: kept, and read per quarter of a second before it has to wait.
        package var logBytesMax: Int = 64 << 10
        package var logLinesMax: Int = 500
        package var logLineBytesMax: Int = 4 << 10
        package var logReadBytesMax: Int = 256 << 10

        /// The longest frame that a backend may send.
        package var frameBytesMax: Int = 1 << 20
        /// Read from one backend before the others have their turn.
        package var readBytesPerTurnMax: Int = 512 << 10
        /// Waiting to be read by a backend; beyond it nothing new is begun.
        package var outputBytesMax: Int = 32 << 20
        /// Sequences of one backend, where the manifest names no number, and at most.
        package var sequencesDefault: UInt32 = 64
        package var sequencesMax: UInt32 = 4_096

        /// `CountTokens` without an answer, and how long one may take.
        package var tokenQueriesMax: Int = 16
        package var tokenQueryMilliseconds: UInt64 = 30_000

        package init() {}

        /// Name and value of each, in the order above.
        package var named: [(name: String, value: UInt64)] {
            Mirror(reflecting: self).children.compactMap { child in
                guard let name = child.label else { return nil }
                switch child.value {
                case let value as UInt64: return (name, value)
                case let value as UInt32: return (name, UInt64(value))
                case let value as Int: return (name, UInt64(value))
                default: return nil
                }
            }
        }
    }
}
