/// A backend's executable, and what a process of it is given beside its socket. No sandbox: it is started as it is.
package struct BackendProgram: Sendable {
    package var path: String
    /// As execve(2) takes it, `NAME=VALUE` each. A sandbox gives none.
    package var environment: [String] = []
    /// Whether a read from the backend's end of the socket waits for bytes, as it does when the agent starts a backend.
    package var socketBlocks = true
    /// The memory that it may have, as RLIMIT_DATA (setrlimit(2)); nil: as much as there is.
    package var dataMebibytes: UInt64?
    /// The file that it gets open for reading, and is told of in `Load`; nil: none.
    package var weights: String?
    /// Whether what it writes to standard error is thrown away; it is this process's otherwise.
    package var isQuiet = false

    package init(path: String) { self.path = path }
}
