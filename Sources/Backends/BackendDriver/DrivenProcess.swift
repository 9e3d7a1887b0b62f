package import LinuxSystem

/// The process of a backend that a `BackendDriver` speaks with. Its owner decides how it is started.
package protocol DrivenProcess: AnyObject {
    /// Waits for its end, for at most this long. Nil: it still runs.
    func awaitEnd(milliseconds: UInt64) throws(LinuxError) -> ExitStatus?
    /// Ends it at once.
    func kill()
    /// The last lines that it wrote to its standard streams, as far as they are kept.
    var lastOutput: [String] { get }
}

extension DrivenProcess {
    package var lastOutput: [String] { [] }
}
