/// Why the supervisor cannot do what it was asked, in one sentence that names the thing and the remedy.
package struct SupervisorError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
    /// Whether another attempt may succeed although nothing is put right.
    package let isTransient: Bool

    package init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}
