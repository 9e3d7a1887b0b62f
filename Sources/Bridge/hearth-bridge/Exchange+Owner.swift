internal import EventLoop
internal import GRPC
internal import HTTPProtocols
internal import HTTPTypes
internal import HummingbirdCore
internal import InferenceMessages
internal import NIOCore
internal import SwiftProtobuf

extension Bridge {
    /// Answers the owner's REST and `/metrics`; nil: the path is another.
    func answerOwner(_ request: Request, allowing origin: String?) async throws(HTTPFailure) -> Response? {
        let path = request.uri.path
        guard path.hasPrefix(OwnerEndpoint.prefix) || path == OwnerEndpoint.metricsPath else { return nil }
        if request.method == .options, origin != nil {
            return .preflight(OwnerEndpoint.verbs(at: path).map(\.rawValue))
        }
        let (endpoint, values) = try OwnerEndpoint.find(request.method.rawValue, path)
        let exchange = try Exchange(self, request, isOwners: true)
        let query = request.uri.query
        let call = try await exchange.read { (body) throws(HTTPFailure) in
            try OwnerCall(endpoint, path: values, query: query, body: body)
        }
        var response = try await exchange.answer(call)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}

// What only an owner's key opens: the agent checks it.
extension Exchange {
    fileprivate func answer(_ asked: OwnerCall) async throws(HTTPFailure) -> Response {
        switch asked.endpoint.question {
        case .call(let call): return try await answer(asked, by: call)
        case .running:
            var list = try await askAgent(
                "ListBackends", Hearth_Admin_V1_ListBackendsRequest(), Hearth_Admin_V1_ListBackendsResponse.self)
            list.backends.removeAll { $0.pid == 0 }
            return .json(try MessageSchema.admin.json(of: list))
        case .pull:
            guard let order = try? Hearth_Admin_V1_PullRequest(serializedBytes: asked.request) else {
                throw .invalid(nil, "the request cannot be read")
            }
            return try await pull(order, OwnerPullAnswer(accept: request.headers[.accept]))
        case .metrics:
            let status = try await askAgent(
                "GetStatus", Hearth_Admin_V1_GetStatusRequest(), Hearth_Admin_V1_Status.self)
            let limits = try await askAgent(
                "ListLimits", Hearth_Admin_V1_ListLimitsRequest(), Hearth_Admin_V1_ListLimitsResponse.self)
            return .text(
                MetricsText(status: status, limits: limits.limits).text, "text/plain; version=0.0.4; charset=utf-8")
        case .description: return .text(OpenAPIDocument.text, "application/json")
        }
    }

    /// The bytes of the answer become JSON by its descriptor: a message without fields keeps them as they are.
    private func answer(_ asked: OwnerCall, by call: String) async throws(HTTPFailure) -> Response {
        do {
            // A look at what there is has its answer soon; a model may take long to be loaded.
            let answer = try await askAgent(
                call, Google_Protobuf_Empty(serializedBytes: asked.request), Google_Protobuf_Empty.self,
                isQuick: asked.endpoint.verb == .get)
            return .json(
                try MessageSchema.admin.json(answer.serializedBytes(), as: asked.endpoint.schema?.response ?? ""))
        } catch {
            throw .of(error)
        }
    }

    private func askAgent<Question: SwiftProtobuf.Message, Answer: SwiftProtobuf.Message>(
        _ method: String, _ question: Question, _: Answer.Type, isQuick: Bool = true
    ) async throws(HTTPFailure) -> Answer {
        do {
            return try await call(
                "/hearth.admin.v1.Admin/\(method)", question,
                timeoutMilliseconds: isQuick ? bridge.limits.questionMilliseconds : nil)
        } catch {
            throw .of(error)
        }
    }

    /// Answers with what the agent says of a pull, in Ollama's words.
    func ollamaPull() async throws(HTTPFailure) -> Response {
        let asked = try await read { (body) throws(HTTPFailure) in try OllamaPullRequest(body) }
        return try await pull(.with { $0.source = asked.model }, OllamaPullAnswer(asked), streams: asked.streams)
    }

    /// What was refused is told by the status; so the answer begins with the first text that is sent.
    private func pull(
        _ asked: Hearth_Admin_V1_PullRequest, _ fresh: some PullAnswer, streams: Bool = true
    ) async throws(HTTPFailure) -> Response {
        var answer = fresh
        let call: BidirectionalCall<Hearth_Admin_V1_PullRequest, Hearth_Admin_V1_PullProgress> =
            await bridge.agent.bidirectional("/hearth.admin.v1.Admin/Pull", options: CallOptions(metadata: metadata))
        do {
            try await call.send(asked)
            await call.endSending()
            var last = ""
            for try await event in call.responses {
                let text = try answer.receive(event)
                if !text.isEmpty { last = text }
                if streams, !last.isEmpty { return stream(answer, last, call) }
            }
            guard answer.isComplete else { throw HTTPFailure.broken("an early end") }
            return .text(last, "application/json")
        } catch {
            await call.cancel()
            throw .of(error)
        }
    }

    private func stream(
        _ begun: some PullAnswer, _ first: String,
        _ call: BidirectionalCall<Hearth_Admin_V1_PullRequest, Hearth_Admin_V1_PullProgress>
    ) -> Response {
        let body = ResponseBody { writer in
            var answer = begun
            do {
                try await writer.write(ByteBuffer(string: first))
                for try await event in call.responses {
                    let text = try answer.receive(event)
                    if !text.isEmpty { try await writer.write(ByteBuffer(string: text)) }
                }
                guard answer.isComplete else { throw HTTPFailure.broken("an early end") }
            } catch {
                await call.cancel()
                // An aborted body never looks finished, and says why before.
                if error is HTTPFailure || error is Status {
                    try await writer.write(ByteBuffer(string: answer.failed(.of(error))))
                }
                throw ConnectionEnd()
            }
            try await writer.finish(nil)
        }
        return .stream(body, begun.mediaType)
    }
}
