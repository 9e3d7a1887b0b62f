internal import BackendSupervisor
internal import EventLoop
internal import GRPC
internal import InferenceMessages
internal import SwiftProtobuf

/// A `Lend` call: its file is served for as long as it lasts.
@IOLoop
final class Lending: CallHandler {
    private let call: ServerCall
    private let supervisor: Supervisor
    private var isAsked = false
    /// What is served; nil before the request, and once the call is over.
    private var path: String?
    private var isOver = false

    init(_ call: ServerCall, _ supervisor: Supervisor) {
        self.call = call
        self.supervisor = supervisor
        call.awaitRequest()
    }

    func received(_ message: UnsafeRawBufferPointer) {
        guard !isAsked, let request = try? Hearth_Admin_V1_LendRequest(serializedBytes: Array(message)) else {
            return finish(Status(.internalError, "Lend takes one LendRequest"))
        }
        isAsked = true
        call.requestCame()
        guard request.path.hasPrefix("/") else {
            return finish(Status(.invalidArgument, "path is '\(request.path)'; write an absolute one"))
        }
        Task { await lend(request.path) }
    }

    private func lend(_ path: String) async {
        do throws(SupervisorError) {
            let model = try await supervisor.lend(path)
            guard !isOver else { return supervisor.endLending(path) }
            self.path = path
            call.send(Hearth_Admin_V1_LendResponse.with { $0.model = model })
        } catch {
            finish(Status(.invalidArgument, error.description))
        }
    }

    /// The caller has asked, and waits; it ends the call by cancelling it, or by its end.
    func receivedEnd() {}

    func sendBufferDrained() {}

    func cancelled(_ status: Status) { end() }

    private func finish(_ status: Status) {
        guard !isOver else { return }
        end()
        call.finish(status)
    }

    private func end() {
        isOver = true
        if let path { supervisor.endLending(path) }
        path = nil
    }
}
