/// A backend's executable, and what its process gets in addition to its socket. It is started without a sandbox.
package struct BackendProgram: Sendable {
    package var path: String
    /// As execve(2) takes it, `NAME=VALUE` each. A sandbox gives none.
    package var environment: [String] = []
    /// Whether a read from the backend's end of the socket waits for bytes, as it does when the agent starts a backend.
    package var socketBlocks = true
    /// The memory that it may have, as RLIMIT_DATA (setrlimit(2)); nil: as much as there is.
    package var dataMebibytes: UInt64?
    /// The weights: a file that it gets open for reading, and that `Load` names; nil: none.
    package var weights: String?
    /// Adapters of the model: files that it gets open for reading, and that `Load` names.
    package var adapters: [Adapter] = []
    /// A draft model: a file that it gets open for reading, and that `Load` names; nil: none.
    package var draft: String?
    /// Whether its standard error is dropped; otherwise it is this process's.
    package var isQuiet = false

    package struct Adapter: Sendable {
        package var name: String
        package var path: String
        package var scale: Float
        package var isDefault: Bool

        package init(name: String, path: String, scale: Float = 1, isDefault: Bool = false) {
            self.name = name
            self.path = path
            self.scale = scale
            self.isDefault = isDefault
        }
    }

    package init(path: String) { self.path = path }
}
