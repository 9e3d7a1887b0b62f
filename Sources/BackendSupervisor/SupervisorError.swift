/// Why the supervisor cannot do what it was asked, in one sentence that names the thing and the remedy.
package struct SupervisorError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
