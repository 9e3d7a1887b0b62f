internal import WireFormat

/// A violation of the contract by one end: one sentence that the backend's author can act on.
package struct ContractViolation: Error, Equatable, Sendable, CustomStringConvertible {
    package let sentence: String

    package init(_ sentence: String) { self.sentence = sentence }

    /// A message that could not be decoded.
    init(_ error: WireError, in message: String) {
        sentence = "\(message) is malformed: \(error)"
    }

    package var description: String { sentence }
}
