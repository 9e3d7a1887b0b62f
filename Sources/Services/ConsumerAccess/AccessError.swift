/// A key that cannot be made, found, read or written: one line that names the problem and the remedy, never a secret.
package struct AccessError: Error, Equatable, CustomStringConvertible {
    package let description: String
    /// Whether the machine lacked something only for the moment (`LinuxError.isTransient`).
    package let isTransient: Bool

    package init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}
