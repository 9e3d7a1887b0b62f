/// How a call ended: a canonical code, and a message that names the problem and the remedy.
///
/// The client gets the status that a handler throws. `grpc/doc/statuscodes.md` of the gRPC project.
package struct Status: Error, Hashable, Sendable, CustomStringConvertible {
    /// The canonical codes, with their numbers on the wire.
    package enum Code: Int, Sendable, CaseIterable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case internalError = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    package var code: Code
    /// Any text; it travels percent-encoded.
    package var message: String
    /// Details that a program can act on; sent as `grpc-status-details-bin`.
    package var details: [Detail]

    package init(_ code: Code, _ message: String = "", details: [Detail] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    package static let ok = Status(.ok)

    package var isOK: Bool { code == .ok }

    package var description: String { message.isEmpty ? code.name : "\(code.name): \(message)" }

    /// The status that the client gets for an error that a handler threw.
    package init(describing error: any Error) {
        switch error {
        case let status as Status: self = status.isOK ? Status(.unknown, "the handler threw OK") : status
        case is CancellationError: self = Status(.cancelled, "the call was cancelled")
        default: self = Status(.unknown, "\(error)")
        }
    }
}

extension Status.Code {
    /// As in the gRPC documentation, "DEADLINE_EXCEEDED".
    package var name: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "CANCELLED"
        case .unknown: "UNKNOWN"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internalError: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        }
    }
}
