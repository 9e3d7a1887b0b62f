package import EventLoop

/// A service's methods by name. `hearth.v1.Inference` is one.
package protocol Service: Sendable {
    /// The name with its package, as in the path: "hearth.v1.Inference".
    var name: String { get }

    /// Nil: there is no such method, and the call ends UNIMPLEMENTED.
    func method(_ name: String) -> Method?
}

/// Makes the handlers for the calls of one method, from a closure: typed (`unary`, `serverStreaming`, `bidirectional`)
/// or raw.
package struct Method: Sendable {
    let makeHandler: @IOLoop @Sendable (ServerCall) -> any CallHandler
    /// The longest message that the method accepts, if that is less than the server's limit.
    private(set) var messageBytesMax = Int.max

    /// The closure is called once for each call, before anything of its body is read. It may finish the call already.
    package init(handler: @escaping @IOLoop @Sendable (ServerCall) -> any CallHandler) { makeHandler = handler }

    /// The same method with a limit on messages, because decoding a message takes time on the loop in proportion to its
    /// length. A longer one ends its call RESOURCE_EXHAUSTED, before it was received.
    package func taking(messageBytesMax: Int) -> Method {
        var method = self
        method.messageBytesMax = messageBytesMax
        return method
    }
}

/// Serves one call. Called on the loop; the call keeps its handler until it is over.
///
/// After `ServerCall.finish` nothing more is called; otherwise `cancelled` is the last call.
@IOLoop
package protocol CallHandler: AnyObject {
    /// One whole message, valid during the call.
    func received(_ message: UnsafeRawBufferPointer)
    /// The client has sent its last message.
    func receivedEnd()
    /// `bufferedBytes` fell to the low mark after it had been above the high mark: sending can go on.
    func sendBufferDrained()
    /// The client reset the call or disconnected, the deadline passed, or a limit was met. Sends do nothing from here
    /// on.
    func cancelled(_ status: Status)
}
