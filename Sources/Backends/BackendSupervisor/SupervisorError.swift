/// Why the supervisor cannot do what it was asked, in one sentence that names the thing and the remedy.
package struct SupervisorError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
    /// Another attempt may succeed although nobody puts anything right.
    package let isTransient: Bool

    package init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}
