package import EventLoop

/// Decides who may call; asked on the loop for every call of a listener, before its service is looked up.
@IOLoop
package protocol CallGate: AnyObject, Sendable {
    /// Whether whoever may do more than any stranger is named. A call of nobody in particular does not keep its connection
    /// then, when room is needed for another one.
    var namesCallers: Bool { get }

    /// Lets the call in, and says who calls; nil: nobody in particular. Throws the status that refuses it.
    func admit(_ call: ServerCall) throws(Status) -> (any Caller)?
}

/// Whoever a gate let in. A service finds it as `ServerCall.caller`.
@IOLoop
package protocol Caller: AnyObject {
    /// Whose work it is counted as.
    var id: CallerID { get }

    /// A call that was let in is over, however it ended; exactly once for each.
    func callEnded(_ call: ServerCall)
}
