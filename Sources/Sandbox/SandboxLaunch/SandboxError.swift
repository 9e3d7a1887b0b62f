/// A backend that cannot be started: what is wrong and what to do about it.
package struct SandboxError: Error, Equatable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// The executable is not one that may run.
        case executableRefused
        /// The policy or the manifest is not one that may be applied.
        case policyRefused
        /// The system refused to start the launcher.
        case launchFailed
    }

    package let code: Code
    package let description: String
    /// The same launch may succeed later although nobody puts anything right.
    package let isTransient: Bool

    package init(_ code: Code, _ description: String, isTransient: Bool = false) {
        self.code = code
        self.description = description
        self.isTransient = isTransient || code == .launchFailed
    }
}
