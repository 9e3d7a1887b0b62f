/// Why a launcher could not do its work.
package struct LaunchFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line: the layer, what failed, and what to do about it.
    package let reason: String
    /// The machine lacked something for the moment: the same launch may succeed later, though nobody mends anything.
    package let isTransient: Bool
    /// The backend ran already.
    package let hasBegun: Bool

    package init(_ reason: String, isTransient: Bool = false, hasBegun: Bool = false) {
        self.reason = reason
        self.isTransient = isTransient
        self.hasBegun = hasBegun
    }

    package var description: String { reason }
}
