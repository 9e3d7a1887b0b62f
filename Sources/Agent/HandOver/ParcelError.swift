package import LinuxSystem

/// Why a parcel was not sent or not received.
package enum ParcelError: Error, Equatable, CustomStringConvertible {
    /// The datagram is none of a parcel.
    case malformed(String)
    /// It was longer than a parcel's, or the kernel left descriptors out: this process may open no more.
    case cutShort
    /// It came with another number of descriptors than it says.
    case descriptors(expected: Int, came: Int)
    /// Its message is longer than one may be, or it has more descriptors.
    case tooLarge(String)
    /// Its message lies in a file that the sender can still change, or that is shorter than it says.
    case unsoundMessage(String)
    /// The other end did not come, or did not take it, in time.
    case timedOut
    /// The other end is closed.
    case ended
    /// The other end belongs to another user.
    case stranger(user: UInt32?)
    case system(LinuxError)

    package var description: String {
        switch self {
        case .malformed(let what): "what came is no parcel: \(what)"
        case .cutShort: "a parcel came cut short (may this process open more descriptors?)"
        case .descriptors(let expected, let came): "a parcel came with \(came) descriptors instead of \(expected)"
        case .tooLarge(let what): "a parcel is too large: \(what)"
        case .unsoundMessage(let what): "a parcel's message cannot be read: \(what)"
        case .timedOut: "the other process did not answer in time"
        case .ended: "the other process has closed its end"
        case .stranger(let user): "the other end belongs to another user (\(user.map(String.init) ?? "unknown"))"
        case .system(let error): "\(error)"
        }
    }
}
