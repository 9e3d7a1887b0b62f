/// A key that cannot be made, found, read or kept: one line that names the thing and the remedy, never a secret.
package struct AccessError: Error, Equatable, CustomStringConvertible {
    package let description: String
    /// The machine lacked something that it may have again a moment later (`LinuxError.isTransient`).
    package let isTransient: Bool

    package init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}
