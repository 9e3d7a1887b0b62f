internal import BackendIPC
internal import EventLoop

/// Receives the messages of a connection's backend other than tokens. Called on the I/O loop, never after the
/// connection was closed.
@IOLoop
protocol BackendConnectionOwner: AnyObject {
    func heard(_ hello: Hello)
    func heard(_ progress: LoadProgress)
    func heard(_ loaded: Loaded)
    func heard(_ inspected: Inspected)
    func heard(_ pong: Pong)
    func gaveUp(_ fault: Fault)
    func broke(_ violation: ContractViolation)
    func connectionEnded()
    /// A sequence was freed, or the backend has read the bytes that kept a new one from beginning.
    func roomFreed()
    /// What another agent had begun on it has ended.
    func settled()
}

extension BackendConnectionOwner {
    func settled() {}
}
