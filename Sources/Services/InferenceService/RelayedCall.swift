internal import EventLoop
internal import GRPC
internal import InferenceMessages

/// A call whose consumer is connected here, and which another agent answers: passes on what either says, as fast as the
/// other takes it.
///
/// Owned by the call's handler, and by its client call until that is over.
@IOLoop
final class RelayedCall: ClientCallHandler {
    private let call: ServerCall
    private var client: ClientCall?
    /// Told once the other agent has the call; nil: it has.
    private var passing: Passage?
    /// Its consumer has gone, before that.
    private var isLeft = false

    /// `record`: the call as it stands.
    init(
        _ call: ServerCall, _ record: Hearth_Handover_V1_Call, by client: Client, over bridged: Server,
        passing: Passage
    ) {
        self.call = call
        self.passing = passing
        passing.begin()
        let options = CallOptions(metadata: PassedCaller.metadata(of: call, over: bridged))
        let begun = client.start(call.path, options: options, handler: self)
        self.client = begun
        begun.send(record)
        if record.hasAll_p { begun.endSending() }
    }

    // The consumer's side.

    func passOn(_ message: UnsafeRawBufferPointer) {
        guard let client else { return }
        client.send(byteCount: message.count) { $0.copyMemory(from: message) }
        if client.isCongested { call.pauseReceiving() }
    }

    func passOnEnd() { client?.endSending() }

    /// The consumer has read enough of what was waiting for it.
    func drained() { client?.resumeReceiving() }

    /// The consumer is gone. The other agent has to have the call before it hears of that: its consumer may come back.
    func cancel() {
        guard passing == nil else {
            isLeft = true
            return
        }
        let client = client
        self.client = nil
        client?.cancel()
    }

    private func isTaken() {
        passing?.done()
        passing = nil
    }

    // The other agent's side.

    func received(initialMetadata: Metadata) {
        isTaken()
        if isLeft { cancel() }
    }

    func received(_ message: UnsafeRawBufferPointer) {
        guard let client, !isLeft else { return }
        call.send(byteCount: message.count) { $0.copyMemory(from: message) }
        if call.isCongested { client.pauseReceiving() }
    }

    func sendBufferDrained() { call.resumeReceiving() }

    func finished(_ status: Status, trailers: Metadata) {
        isTaken()
        guard client != nil else { return }
        client = nil
        call.finish(status, trailers: trailers)
    }
}
