/// Why a request or a model was refused, in words for whoever asked.
public struct EngineFault: Error, Equatable, Sendable {
    /// What kind of failing; it decides the status that the consumer sees.
    public enum Code: Sendable, CaseIterable {
        /// The request cannot be served whatever the state of the backend.
        case invalidArgument
        /// The prompt does not fit the context; put both numbers in the message.
        case contextOverflow
        /// The backend cannot do what was asked.
        case unsupported
        /// No room now.
        case overloaded
        /// The backend's own failing.
        case `internal`
        /// The weights cannot be loaded. Ends the backend.
        case badModel
    }

    public var code: Code
    /// One sentence that names the thing and the remedy; cut after 1,024 bytes.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
