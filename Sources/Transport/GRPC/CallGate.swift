package import EventLoop

/// Decides who may call; asked on the loop for every call of a listener, before its service is looked up.
@IOLoop
package protocol CallGate: AnyObject, Sendable {
    /// Whether this gate names callers. If it does, a call without a named caller does not keep its connection when
    /// room is needed for another one.
    var namesCallers: Bool { get }

    /// Admits the call and returns its caller; nil: an unnamed one. Throws the status that refuses the call.
    func admit(_ call: ServerCall) throws(Status) -> (any Caller)?
}

/// A caller that a gate has admitted. A service finds it as `ServerCall.caller`.
@IOLoop
package protocol Caller: AnyObject {
    /// The caller to which work is charged.
    var id: CallerID { get }

    /// An admitted call is over, however it ended; called exactly once for each.
    func callEnded(_ call: ServerCall)
}
