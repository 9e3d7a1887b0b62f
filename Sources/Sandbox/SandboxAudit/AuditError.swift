/// An audit that could not be made: what failed, in words.
package struct AuditError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
