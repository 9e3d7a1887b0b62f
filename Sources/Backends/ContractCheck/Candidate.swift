package import BackendDriver
package import BackendIPC

/// A backend that is to be checked against the contract.
package struct Candidate {
    /// Starts a process of it, with this patience of its driver in milliseconds. Throws what keeps it from starting.
    package let start: (_ patienceMilliseconds: UInt64) throws -> BackendDriver
    /// What each process is asked to load.
    package let load: Load
    /// The prompt of requests.
    package var prompt = "Tell me a story."
    /// The longest wait for `Hello`.
    package var helloMilliseconds: UInt64 = 10_000
    /// The longest time for loading.
    package var loadMilliseconds: UInt64 = 600_000
    /// The longest wait for any other message, and for room to write.
    package var patienceMilliseconds: UInt64 = 20_000
    /// The grace of `Shutdown`.
    package var graceMilliseconds: UInt32 = 500
    /// How long its process may take to end after that, and after the end of the stream.
    package var exitMilliseconds: UInt64 = 5_000

    package init(load: Load, start: @escaping (_ patienceMilliseconds: UInt64) throws -> BackendDriver) {
        self.load = load
        self.start = start
    }
}
