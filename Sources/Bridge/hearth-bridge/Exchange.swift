internal import EventLoop
internal import Foundation
internal import GRPC
internal import HTTPProtocols
internal import HTTPTypes
internal import HummingbirdCore
internal import InferenceMessages
internal import LinuxSystem
internal import NIOCore
internal import SwiftProtobuf

/// One request, and what its answer is made with.
struct Exchange: Sendable {
    let bridge: Bridge
    let request: Request
    let metadata: Metadata

    /// `isOwners`: only an owner's key opens what is asked, and the agent is to say what is wrong with any other.
    init(_ bridge: Bridge, _ request: Request, isOwners: Bool = false) throws(HTTPFailure) {
        self.bridge = bridge
        self.request = request
        var metadata = Metadata()
        let key = CallerKey.authorization(
            request.headers[.authorization], apiKey: request.headers[.apiKey],
            isRequired: bridge.security.requiresKey || isOwners)
        do throws(Status) {
            if let key { try metadata.add("authorization", key) }
            if let priority = request.headers[.hearthPriority] { try metadata.add("hearth-priority", priority) }
            // The agent's span is the child of the client's: the request over HTTP has none of its own.
            let trace = TraceContext(
                parents: request.headers[values: .traceParent], states: request.headers[values: .traceState])
            for field in trace?.fields ?? [] { try metadata.add(field.name, field.value) }
        } catch {
            throw HTTPFailure(400, type: "invalid_request_error", "the key or the priority is not printable ASCII")
        }
        self.metadata = metadata
    }

    /// The body, read as a request. It counts as one that is being received until it is read: bodies wait for their turn.
    func read<Body: Sendable>(
        _ make: @Sendable ([UInt8]) throws(HTTPFailure) -> Body
    ) async throws(HTTPFailure) -> Body {
        var taken = 0
        defer { bridge.bodies.giveBack(taken) }
        return try await bridge.reader.read(body(counting: &taken), make)
    }

    /// The body of the request; throws 413 for one that is too long.
    private func body(counting taken: inout Int) async throws(HTTPFailure) -> [UInt8] {
        let most = bridge.limits.bodyBytesMax
        var bytes: [UInt8] = []
        let codings = [request.headers[.contentEncoding], request.headers[.transferEncoding]].compactMap {
            $0?.lowercased()
        }
        if let coding = codings.first(where: { !["identity", "chunked"].contains($0) }) {
            throw HTTPFailure(
                415, type: "invalid_request_error", code: "unsupported_encoding",
                "the body has the coding '\(coding.prefix(64))': send it as it is, without one")
        }
        do {
            // A client that waits for "100 Continue" need not send it.
            if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > most {
                throw HTTPFailure.tooLarge(most)
            }
            for try await piece in request.body {
                guard bytes.count + piece.readableBytes <= most else { throw HTTPFailure.tooLarge(most) }
                try bridge.bodies.take(piece.readableBytes)
                taken += piece.readableBytes
                bytes.append(contentsOf: piece.readableBytesView)
            }
            return bytes
        } catch let failure as HTTPFailure {
            throw failure
        } catch {
            throw .invalid(nil, "the body did not come whole")
        }
    }

    /// Asks the agent what it answers without a model, or in one message.
    func ask<Question: SwiftProtobuf.Message, Answer: SwiftProtobuf.Message>(
        _ method: String, _ question: Question, answer: Answer.Type = Answer.self, timeoutMilliseconds: UInt64? = nil,
        fields: (String) -> String? = { $0 }
    ) async throws(HTTPFailure) -> Answer {
        do {
            return try await call("/hearth.v1.Inference/\(method)", question, timeoutMilliseconds: timeoutMilliseconds)
        } catch {
            throw .of(error, fields)
        }
    }

    /// The answer of any method of the agent's that has one.
    func call<Question: SwiftProtobuf.Message, Answer: SwiftProtobuf.Message>(
        _ path: String, _ question: Question, answer: Answer.Type = Answer.self, timeoutMilliseconds: UInt64? = nil
    ) async throws -> Answer {
        try await bridge.agent.unary(
            path, question, options: CallOptions(metadata: metadata, timeoutMilliseconds: timeoutMilliseconds))
    }

    /// All models that the caller may know of.
    func models() async throws(HTTPFailure) -> [Hearth_V1_Model] {
        var models: [Hearth_V1_Model] = []
        var question = Hearth_V1_ListModelsRequest()
        repeat {
            let page: Hearth_V1_ListModelsResponse = try await ask(
                "ListModels", question, timeoutMilliseconds: bridge.limits.questionMilliseconds)
            models += page.models
            question.pageToken = page.nextPageToken
        } while !question.pageToken.isEmpty
        return models
    }
}

// What Ollama's and Anthropic's clients ask in their own way.
extension Exchange {
    /// Whether the client speaks Anthropic's protocol, which shares paths with OpenAI's.
    var isAnthropic: Bool { request.headers[.anthropicVersion] != nil }

    /// A request without a prompt is about the model alone.
    func ollamaTurn<Asked: OllamaTurnRequest>(_: Asked.Type) async throws(HTTPFailure) -> Response {
        let asked = try await read { (bytes) throws(HTTPFailure) in try Asked(bytes) }
        guard asked.meaning == .turn else {
            try await load(asked.generate.model, asked.generate.keepAlive, asked.meaning)
            return .json(asked.objectWithoutTurn(.now()))
        }
        return try await turn(asked)
    }

    /// Has the agent load a model, by a question that needs it. Throws 403 for one that is to be given up: other
    /// consumers may use it.
    func load(
        _ model: String, _ keepAlive: Google_Protobuf_Duration, _ meaning: OllamaMeaning
    ) async throws(HTTPFailure) {
        guard meaning != .unload else {
            throw HTTPFailure(
                403, type: "permission_error", code: "permission_denied",
                "when a model is given up is this host's owner's to say: 'hearth serve --keep-alive'")
        }
        var question = Hearth_V1_GenerateRequest()
        question.model = model
        question.keepAlive = keepAlive
        question.text = " "
        let _: Hearth_V1_CountTokensResponse = try await ask("CountTokens", question)
    }
}

// Turns.
extension Exchange {
    /// Has the agent take a turn, and answers with what it says.
    func turn<Asked: TurnRequest>(_: Asked.Type) async throws(HTTPFailure) -> Response {
        let asked = try await read { (bytes) throws(HTTPFailure) in try Asked(bytes) }
        return try await turn(asked)
    }

    func turn<Asked: TurnRequest>(_ asked: Asked) async throws(HTTPFailure) -> Response {
        var answer = asked.answer(.now())
        var alive = KeepAlive(Asked.Answer.dialect, streams: asked.streams, at: .now())
        let call: BidirectionalCall<Hearth_V1_GenerateRequest, Hearth_V1_ChatEvent> = await bridge.agent.bidirectional(
            "/hearth.v1.Inference/Generate", options: CallOptions(metadata: metadata))
        do {
            try await call.send(asked.generate)
            await call.endSending()
            // What was refused is told by the status; so the answer begins with the first event that is sent.
            // A stream that has to wait for long begins without one, and tells of a refusal as of a failure.
            var text = ""
            reading: while true {
                switch try await next(of: call, &alive) {
                case .event(let event):
                    text += try answer.receive(event)
                    switch event.event {
                    case .queued, .paused, .resumed, .resumable: continue
                    default: break
                    }
                case .comment(let comment): text += comment
                case .end: break reading
                }
                if asked.streams { return stream(answer, text, call, alive, fields: Asked.param) }
            }
            guard let object = answer.object else { throw HTTPFailure.broken("an early end") }
            return .json(object)
        } catch {
            await call.cancel()
            throw .of(error, Asked.param)
        }
    }

    /// What comes next of a stream.
    private enum Next {
        case event(Hearth_V1_ChatEvent)
        /// Nothing came, and this is to be sent.
        case comment(String)
        case end
    }

    private func next(
        of call: BidirectionalCall<Hearth_V1_GenerateRequest, Hearth_V1_ChatEvent>, _ alive: inout KeepAlive
    ) async throws -> Next {
        while let milliseconds = alive.wait(at: .now()) {
            if await call.responses.hasNext(withinMilliseconds: milliseconds) { break }
            if let comment = alive.due(at: .now()) { return .comment(comment) }
        }
        var events = call.responses.makeAsyncIterator()
        return try await events.next().map { .event($0) } ?? .end
    }

    private func stream<Answer: TurnAnswer>(
        _ begun: Answer, _ first: String, _ call: BidirectionalCall<Hearth_V1_GenerateRequest, Hearth_V1_ChatEvent>,
        _ alive: KeepAlive, fields: @escaping @Sendable (String) -> String?
    ) -> Response {
        let body = ResponseBody { writer in
            var answer = begun
            var alive = alive
            do {
                if !first.isEmpty { try await writer.write(ByteBuffer(string: first)) }
                reading: while true {
                    let text: String
                    switch try await next(of: call, &alive) {
                    case .event(let event): text = try answer.receive(event)
                    case .comment(let comment): text = comment
                    case .end: break reading
                    }
                    guard !text.isEmpty else { continue }
                    try await writer.write(ByteBuffer(string: text))
                    alive.sent(at: .now())
                }
                guard answer.isComplete else { throw HTTPFailure.broken("an early end") }
            } catch {
                await call.cancel()
                // An aborted body never looks finished, and says why before.
                if error is HTTPFailure || error is Status {
                    try await writer.write(ByteBuffer(string: answer.failed(.of(error, fields))))
                }
                throw ConnectionEnd()
            }
            try await writer.finish(nil)
        }
        return .stream(body, Answer.dialect.streamMediaType)
    }
}

extension Response {
    /// A body that comes piece by piece.
    static func stream(_ body: ResponseBody, _ mediaType: String) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = mediaType
        headers[.cacheControl] = "no-store"
        // nginx would hold the pieces back.
        headers[.accelBuffering] = "no"
        return Response(status: .ok, headers: headers, body: body)
    }
}

extension HTTPFailure {
    /// A body of more than so many bytes.
    static func tooLarge(_ most: Int) -> HTTPFailure {
        HTTPFailure(
            413, type: "invalid_request_error", code: "request_too_large", "the body has more than \(most) bytes")
    }

    /// What ended a call, for the client.
    static func of(_ error: any Error, _ fields: (String) -> String? = { $0 }) -> HTTPFailure {
        if let failure = error as? HTTPFailure { return failure }
        if let status = error as? Status { return HTTPFailure(status, fields: fields) }
        return HTTPFailure(500, type: "server_error", "the request was given up: \(error)")
    }
}

extension AnswerStamp {
    /// One that no other answer has.
    static func now() -> AnswerStamp {
        let digits = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
        return AnswerStamp(
            id: String(repeating: "0", count: max(0, 26 - digits.count)) + digits,
            created: Int64(Date().timeIntervalSince1970))
    }
}

extension HTTPField.Name {
    static let apiKey = HTTPField.Name("x-api-key")!
    static let hearthPriority = HTTPField.Name("hearth-priority")!
    static let traceParent = HTTPField.Name(TraceContext.parentKey)!
    static let traceState = HTTPField.Name(TraceContext.stateKey)!
    static let anthropicVersion = HTTPField.Name("anthropic-version")!
    static let accelBuffering = HTTPField.Name("x-accel-buffering")!
}
