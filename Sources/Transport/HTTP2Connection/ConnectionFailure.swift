/// Why a connection ended, in words for a log or a status.
package struct ConnectionFailure: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// Closed on purpose: by us, or by GOAWAY without an error.
        case closed
        /// The peer disconnected.
        case lost
        /// The connection could not be made: it was refused, or nothing listens there.
        case unreachable
        /// The peer was too slow for a named limit.
        case timedOut
        /// The peer broke HTTP/2, or is not speaking it.
        case violation
        /// The peer went over a named limit.
        case flooded
        /// TLS failed.
        case security
    }

    package let code: Code
    package let description: String
    /// The limit that was met, if one was; the description names it too.
    package let limit: HTTP2Limits.Name?

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
        limit = nil
    }

    package init(_ code: Code, _ limit: HTTP2Limits.Name, _ description: String) {
        self.code = code
        self.description = "\(limit.rawValue): \(description)"
        self.limit = limit
    }
}

/// An error code of RST_STREAM and GOAWAY (RFC 9113, section 7).
package struct HTTP2ErrorCode: Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noError = HTTP2ErrorCode(rawValue: 0x0)
    package static let protocolError = HTTP2ErrorCode(rawValue: 0x1)
    package static let internalError = HTTP2ErrorCode(rawValue: 0x2)
    package static let flowControlError = HTTP2ErrorCode(rawValue: 0x3)
    package static let settingsTimeout = HTTP2ErrorCode(rawValue: 0x4)
    package static let streamClosed = HTTP2ErrorCode(rawValue: 0x5)
    package static let frameSizeError = HTTP2ErrorCode(rawValue: 0x6)
    package static let refusedStream = HTTP2ErrorCode(rawValue: 0x7)
    package static let cancel = HTTP2ErrorCode(rawValue: 0x8)
    package static let compressionError = HTTP2ErrorCode(rawValue: 0x9)
    package static let connectError = HTTP2ErrorCode(rawValue: 0xa)
    package static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 0xb)
    package static let inadequateSecurity = HTTP2ErrorCode(rawValue: 0xc)
    package static let http11Required = HTTP2ErrorCode(rawValue: 0xd)
}
