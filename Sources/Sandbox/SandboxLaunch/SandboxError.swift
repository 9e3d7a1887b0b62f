/// Why a backend cannot be started, with the remedy.
package struct SandboxError: Error, Equatable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// The executable may not run.
        case executableRefused
        /// The policy or the manifest cannot be applied.
        case policyRefused
        /// The system refused to start the launcher.
        case launchFailed
    }

    package let code: Code
    package let description: String
    /// Whether the same launch may succeed later without a repair.
    package let isTransient: Bool

    package init(_ code: Code, _ description: String, isTransient: Bool = false) {
        self.code = code
        self.description = description
        self.isTransient = isTransient || code == .launchFailed
    }
}
