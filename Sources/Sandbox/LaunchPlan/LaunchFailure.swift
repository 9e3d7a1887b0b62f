/// Why a launch failed.
package struct LaunchFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line: the layer, what failed, and what to do about it.
    package let reason: String
    /// Whether the machine lacked something for the moment: the same launch may succeed later without a repair.
    package let isTransient: Bool
    /// Whether the backend had run already.
    package let hasBegun: Bool

    package init(_ reason: String, isTransient: Bool = false, hasBegun: Bool = false) {
        self.reason = reason
        self.isTransient = isTransient
        self.hasBegun = hasBegun
    }

    package var description: String { reason }
}
