/// A token that cannot be made, found, read or kept: one line that names the thing and the remedy, never a secret.
package struct AccessError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
