/// Why a model cannot be pulled, in a sentence with the remedy.
package struct PullFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The exit codes (sysexits(3) where one fits).
    package enum Kind: Int32, Sendable {
        /// The command line is wrong.
        case usage = 64
        /// The same command would fail again.
        case refused = 1
        /// The same command may succeed later, and goes on where this one ended.
        case temporary = 75
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
