/// Why a request or a model was refused, in words for the consumer.
public struct EngineFault: Error, Equatable, Sendable {
    /// The kind of fault; it decides the status that the consumer gets.
    public enum Code: Sendable, CaseIterable {
        /// The request is invalid, whatever the state of the backend.
        case invalidArgument
        /// The prompt does not fit the context; put both numbers in the message.
        case contextOverflow
        /// The backend does not support what was asked.
        case unsupported
        /// The backend has no room at the moment.
        case overloaded
        /// An internal error of the backend.
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
