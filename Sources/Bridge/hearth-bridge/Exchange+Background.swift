internal import Cryptography
internal import EventLoop
internal import GRPC
internal import HTTPProtocols
internal import HTTPTypes
internal import HummingbirdCore
internal import LinuxSystem
internal import NIOCore

// Responses in the background, which their clients ask for as often as they like.
extension Exchange {
    /// Answers `POST /v1/responses`.
    func responses() async throws(HTTPFailure) -> Response {
        let (asked, bodyBytes) = try await read { (bytes) throws(HTTPFailure) in
            (try ResponsesRequest(bytes), bytes.count)
        }
        guard asked.isBackground else { return try await turn(asked) }
        let response = StoredResponse(asked, .now(), bodyBytes: bodyBytes)
        try await bridge.background.begin(
            asked, response, of: caller, by: bridge.agent, CallOptions(metadata: metadata))
        // Nobody else knows its id.
        guard !Task.isCancelled else {
            try await bridge.background.remove(response.id, of: caller)
            throw .of(CancellationError())
        }
        let begun = try await bridge.background.response(response.id, of: caller)
        return asked.streams ? stream(begun, after: nil, isFirst: true) : .json(begun.object)
    }

    /// Answers `GET` and `DELETE` of `/v1/responses/ID`.
    func response(_ id: String) async throws(HTTPFailure) -> Response {
        guard request.method != .delete else {
            try await bridge.background.remove(id, of: caller)
            return .json(
                .object([("id", .string(id)), ("object", .string("response")), ("deleted", .bool(true))]))
        }
        let query = try ResponseQuery(request.uri.query, lastEventID: request.headers[.lastEventID])
        let response = try await bridge.background.response(id, of: caller)
        return query.streams ? stream(response, after: query.after) : .json(response.object)
    }

    /// Answers `POST /v1/responses/ID/cancel`.
    func cancelResponse(_ id: String) async throws(HTTPFailure) -> Response {
        .json(try await bridge.background.cancel(id, of: caller).object)
    }

    /// A digest of the key, whose responses are no other's.
    private var caller: [UInt8] {
        guard let key = metadata["authorization"] else { return [] }
        return Array(key.utf8).withUnsafeBytes { SHA256.digest($0) }
    }

    /// The stream of the response's events, from its beginning or behind the event `after`, as long as it grows. `isFirst`: it
    /// tells the response's id, without which nobody can read it: one that cannot be told is computed no more.
    private func stream(_ response: StoredResponse, after: Int64?, isFirst: Bool = false) -> Response {
        let (id, caller, fresh) = (response.id, caller, response.stream(after: after))
        let body = ResponseBody { writer in
            var answer = fresh
            var alive = KeepAlive(.openAI, streams: true, at: .now())
            var taken = 0
            var isTold = !isFirst
            do {
                var text = answer.begin()
                while true {
                    let piece = try await bridge.background.next(of: id, behind: taken, for: caller)
                    for event in piece.events { text += try answer.receive(event) }
                    taken += piece.events.count
                    if !text.isEmpty {
                        try await writer.write(ByteBuffer(string: text))
                        isTold = true
                        alive.sent(at: .now())
                        text = ""
                    }
                    if piece.isLast {
                        if let failure = piece.failure { throw failure }
                        break
                    }
                    let wait = alive.wait(at: .now()) ?? KeepAlive.milliseconds
                    let hasMore = await bridge.background.hasMore(
                        id, than: taken, of: caller, withinMilliseconds: wait)
                    try Task.checkCancellation()
                    if !hasMore { text = alive.due(at: .now()) ?? "" }
                }
            } catch {
                if !isTold { try? await bridge.background.remove(id, of: caller) }
                // An aborted body never looks finished, and says why before.
                if error is HTTPFailure {
                    try await writer.write(ByteBuffer(string: answer.failed(.of(error))))
                }
                throw ConnectionEnd()
            }
            try await writer.finish(nil)
        }
        return .stream(body, HTTPDialect.openAI.streamMediaType)
    }
}

extension HTTPField.Name {
    static let lastEventID = HTTPField.Name("last-event-id")!
}
