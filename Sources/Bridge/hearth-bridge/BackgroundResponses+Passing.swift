internal import EventLoop
internal import GRPC
internal import HTTP2Connection
internal import HTTPProtocols
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf

// Responses pass from the bridge of an agent to that of the agent that takes its place: the one that has begun a response
// computes it to its end, and tells the other, to which its client comes back.

/// What the bridge before does for the next one.
struct ResponsesService: Service {
    static let revision: UInt32 = 1

    let name = "hearth.handover.v1.Responses"
    let background: BackgroundResponses

    func method(_ name: String) -> Method? {
        switch name {
        case "Take":
            .serverStreaming {
                (
                    request: Hearth_Handover_V1_TakeResponsesRequest,
                    writer: ResponseWriter<Hearth_Handover_V1_ResponsesPiece>, _
                ) in
                guard request.revision == Self.revision else {
                    throw Status(.unimplemented, "responses are passed on in revision \(Self.revision) only")
                }
                try await background.passOn { try await writer.send($0) }
            }
        case "Cancel":
            .immediate {
                (request: Hearth_Handover_V1_CancelResponseRequest, _) throws(Status)
                    -> Hearth_Handover_V1_CancelResponseResponse in
                guard background.stop(request.id) else {
                    throw Status(.notFound, "there is no response '\(request.id.prefix(128))' that is computed")
                }
                return Hearth_Handover_V1_CancelResponseResponse()
            }
        default: nil
        }
    }
}

/// The socket on which another bridge may take the responses, once this one retires.
@IOLoop
final class ResponsesOffer {
    private let background: BackgroundResponses
    private var server: Server?

    /// How long the other bridge may take to be started.
    private nonisolated static let startMilliseconds: UInt64 = 60_000
    private nonisolated static let endMilliseconds: UInt64 = 10_000

    nonisolated init(_ background: BackgroundResponses) { self.background = background }

    /// Serves the responses on this socket.
    func begin(on socket: consuming Descriptor) {
        guard (try? Descriptor.setNonblocking(socket.raw)) != nil else { return }
        var limits = Limits()
        limits.http2.handshakeMilliseconds = Self.startMilliseconds
        let server = Server(limits: limits)
        server.register(ResponsesService(background: background))
        server.serve(socket)
        self.server = server
    }

    /// Whether nobody needs this process any more: nobody takes its responses, or all of them have been computed.
    var isDone: Bool {
        guard let server, server.openConnections > 0 else { return true }
        return background.isPassedOn ? !background.isComputing : background.isEmpty
    }

    /// Returns once the other bridge has what has come.
    func end() async {
        background.endPassing()
        await server?.drain(graceMilliseconds: Self.endMilliseconds)
    }
}

extension BackgroundResponses {
    /// Tells of every response, then of what comes of them, until `endPassing`.
    func passOn(_ tell: (Hearth_Handover_V1_ResponsesPiece) async throws -> Void) async throws {
        var telling = ResponsesTelling()
        let changes = beginPassing()
        for await _ in changes {
            while case let pieces = next(of: &telling), !pieces.isEmpty {
                for piece in pieces { try await tell(piece) }
            }
        }
    }

    /// Takes what the bridge at the other end of this socket has stored, and goes on with it. Returns once every response is
    /// known, or none will be.
    func take(from socket: consuming Descriptor) async {
        guard let elder = try? await Client.connect(over: socket) else { return }
        let (named, isNamed) = AsyncStream.makeStream(of: Void.self)
        let timer = IOLoop.schedule(afterMilliseconds: Self.namingMilliseconds) { isNamed.finish() }
        Task {
            var begun: Set<String> = []
            let pieces: MessageStream<Hearth_Handover_V1_ResponsesPiece> = elder.serverStreaming(
                "/hearth.handover.v1.Responses/Take",
                Hearth_Handover_V1_TakeResponsesRequest.with { $0.revision = ResponsesService.revision })
            do {
                for try await piece in pieces {
                    switch piece.piece {
                    case .response(let record): if take(record, of: elder) { begun.insert(record.id) }
                    case .named: isNamed.finish()
                    case .event(let event): take(event)
                    case .failure(let failure): end(failure.id, failure.failure)
                    case .removed(let id): forget(id)
                    case nil: break
                    }
                }
            } catch {
                tell("the bridge before tells no more of its responses: \(Status(describing: error))")
            }
            for id in begun { end(id, .broken("an early end")) }
            isNamed.finish()
            elder.close()
        }
        for await _ in named {}
        timer.cancel()
    }

    private func take(_ record: StoredResponse.Record, of elder: Client) -> Bool {
        begin(record) {
            // It ends there, whether or not anybody is told of that.
            Task {
                let _: Hearth_Handover_V1_CancelResponseResponse? = try? await elder.unary(
                    "/hearth.handover.v1.Responses/Cancel",
                    Hearth_Handover_V1_CancelResponseRequest.with { $0.id = record.id })
            }
        }
    }

    private func take(_ event: Hearth_Handover_V1_ResponseEvent) {
        guard let read = try? Hearth_V1_ChatEvent(serializedBytes: event.event) else {
            return end(event.id, .broken("an event that cannot be read"))
        }
        receive(read, of: event.id)
    }
}
