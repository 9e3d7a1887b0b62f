internal import Foundation
internal import HTTPProtocols
internal import HTTPTypes
internal import HostPage
internal import HummingbirdCore
internal import InferenceMessages

extension Bridge {
    /// Answers what is asked at the path of the request. `origin`: that of a page of another site, which may ask.
    func answer(_ request: Request, allowing origin: String?) async throws(HTTPFailure) -> Response {
        let path = request.uri.path
        if let refusal = OllamaRefusals.failure(path: path) { throw refusal }
        if let response = try await answerOwner(request, allowing: origin) { return response }
        guard let route = Route(path: path) else {
            throw HTTPFailure(
                404, type: "invalid_request_error", code: "not_found",
                "there is no '\(path.prefix(256))' here\(Route.hint(for: path))")
        }
        if request.method == .options, origin != nil {
            if case .grpcWeb = route, let asked = request.headers[.accessControlRequestHeaders] {
                return .preflight(route.methods.map(\.rawValue), fields: asked)
            }
            return .preflight(route.methods.map(\.rawValue))
        }
        guard route.methods.contains(request.method == .head ? .get : request.method) else {
            throw .method(request.method.rawValue, at: path, allowed: route.methods.map(\.rawValue))
        }
        return try await answer(route, Exchange(self, request, isOwners: route == .ollama(.pull)))
    }

    private func answer(_ route: Route, _ exchange: Exchange) async throws(HTTPFailure) -> Response {
        switch route {
        case .root:
            if exchange.request.takesPages { return .page(.document, to: exchange.request) }
            return .text("Hearth lends language models here.\n", "text/plain; charset=utf-8")
        case .page(let file): return .page(file, to: exchange.request)
        case .models:
            let models = try await exchange.models()
            return .json(exchange.isAnthropic ? MessagesModelList.object(models) : ModelList.object(models))
        case .model(let id):
            guard let model = try await exchange.models().first(where: { $0.id == id }) else {
                throw HTTPFailure(
                    404, type: "invalid_request_error", code: "model_not_found", param: "model",
                    "there is no model '\(id.prefix(256))' here")
            }
            return .json(exchange.isAnthropic ? MessagesModelList.object(model) : ModelList.object(model))
        case .chatCompletions: return try await exchange.turn(ChatCompletionRequest.self)
        case .completions: return try await exchange.turn(CompletionRequest.self)
        case .responses: return try await exchange.responses()
        case .response(let id): return try await exchange.response(id)
        case .cancelledResponse(let id): return try await exchange.cancelResponse(id)
        case .embeddings:
            let asked = try await exchange.read { (body) throws(HTTPFailure) in try EmbeddingsRequest(body) }
            return .json(
                try asked.object(try await exchange.ask("Embed", asked.embed, fields: EmbeddingsRequest.param)))
        case .rerank:
            let asked = try await exchange.read { (body) throws(HTTPFailure) in try RerankRequest(body) }
            return .json(try asked.object(try await exchange.ask("Rerank", asked.rerank, fields: RerankRequest.param)))
        case .messages: return try await exchange.turn(MessagesRequest.self)
        case .countTokens:
            let asked = try await exchange.read { (body) throws(HTTPFailure) in try CountTokensRequest(body) }
            return .json(
                CountTokensRequest.object(
                    try await exchange.ask("CountTokens", asked.generate, fields: MessagesRequest.param)))
        case .ollama(let ollama): return try await answer(ollama, exchange)
        case .grpcWeb(let method): return try await exchange.grpcWeb(method)
        }
    }

    private func answer(_ route: Route.Ollama, _ exchange: Exchange) async throws(HTTPFailure) -> Response {
        switch route {
        case .version: return .json(OllamaModels.versionObject)
        case .tags: return .json(OllamaModels.tags(try await exchange.models()))
        case .ps: return .json(OllamaModels.ps(try await exchange.models()))
        case .show:
            let asked = try await exchange.read { (body) throws(HTTPFailure) in try OllamaShowRequest(body) }
            return .json(try OllamaModels.show(asked, among: try await exchange.models()))
        case .pull: return try await exchange.ollamaPull()
        case .chat: return try await exchange.ollamaTurn(OllamaChatRequest.self)
        case .generate: return try await exchange.ollamaTurn(OllamaGenerateRequest.self)
        case .embed(let kind):
            let asked = try await exchange.read { (body) throws(HTTPFailure) in try OllamaEmbedRequest(body, kind) }
            guard asked.meaning == .turn else {
                try await exchange.load(asked.embed.model, asked.embed.keepAlive, asked.meaning)
                return .json(try asked.object(Hearth_V1_EmbedResponse()))
            }
            return .json(try asked.object(try await exchange.ask("Embed", asked.embed) { asked.param($0) }))
        }
    }
}

/// What a path leads to.
enum Route: Equatable {
    case root
    case page(PageFile)
    case models
    case model(String)
    case chatCompletions, completions, responses, embeddings, rerank
    case response(String)
    case cancelledResponse(String)
    case messages, countTokens
    case ollama(Ollama)
    /// A method of hearth.v1, by gRPC-Web.
    case grpcWeb(String)

    enum Ollama: Equatable {
        case version, tags, ps, show, pull, chat, generate
        case embed(OllamaEmbedRequest.Kind)
    }

    private static let fixed: [String: Route] = [
        "/": .root, "/v1/models": .models, "/v1/chat/completions": .chatCompletions,
        "/v1/completions": .completions, "/v1/responses": .responses, "/v1/embeddings": .embeddings,
        "/v1/rerank": .rerank, "/v1/messages": .messages, "/v1/messages/count_tokens": .countTokens,
        "/api/version": .ollama(.version), "/api/tags": .ollama(.tags), "/api/ps": .ollama(.ps),
        "/api/show": .ollama(.show), "/api/pull": .ollama(.pull), "/api/chat": .ollama(.chat),
        "/api/generate": .ollama(.generate),
        "/api/embed": .ollama(.embed(.embed)), "/api/embeddings": .ollama(.embed(.embeddings)),
    ]

    init?(path: String) {
        if let fixed = Self.fixed[path] {
            self = fixed
            return
        }
        if let file = PageFile.at(path) {
            self = .page(file)
            return
        }
        let calls = "/hearth.v1.Inference/"
        if path.hasPrefix(calls) {
            let method = path.dropFirst(calls.count)
            guard !method.isEmpty, method.allSatisfy({ $0.isASCII && $0.isLetter }) else { return nil }
            self = .grpcWeb(String(method))
            return
        }
        let responses = "/v1/responses/"
        if path.hasPrefix(responses) {
            let parts = path.dropFirst(responses.count).split(separator: "/", omittingEmptySubsequences: false)
            guard let id = parts.first, id.hasPrefix(StoredResponse.idPrefix) else { return nil }
            switch parts.dropFirst() {
            case []: self = .response(String(id))
            case ["cancel"]: self = .cancelledResponse(String(id))
            default: return nil
            }
            return
        }
        let models = "/v1/models/"
        guard path.hasPrefix(models), let id = path.dropFirst(models.count).removingPercentEncoding, !id.isEmpty
        else { return nil }
        self = .model(id)
    }

    /// What a client whose base address is not quite right may have meant, for the end of a sentence.
    static func hint(for path: String) -> String {
        let plain = "/" + path.split(separator: "/").joined(separator: "/")
        let meant =
            [plain, "/v1" + plain] + ["/v1", "/api"].filter(plain.hasPrefix).map { String(plain.dropFirst($0.count)) }
        return meant.first { $0 != path && fixed[$0] != nil }.map { $0 == "/" ? "" : "; did you mean '\($0)'?" } ?? ""
    }

    var methods: [HTTPRequest.Method] {
        switch self {
        case .root, .page, .models, .model, .ollama(.version), .ollama(.tags), .ollama(.ps): [.get]
        case .response: [.get, .delete]
        case .chatCompletions, .completions, .responses, .cancelledResponse, .embeddings, .rerank, .messages,
            .countTokens, .ollama,
            .grpcWeb:
            [.post]
        }
    }
}

extension Response {
    /// What a browser asks before it lets a page of another origin send a request (Fetch, section 4.8).
    static func preflight(
        _ methods: [String], fields: String = "authorization, content-type, x-api-key, traceparent, tracestate"
    ) -> Response {
        var headers = HTTPFields()
        headers[.accessControlAllowMethods] = methods.joined(separator: ", ")
        headers[.accessControlAllowHeaders] = fields
        headers[.accessControlMaxAge] = "600"
        return Response(status: .noContent, headers: headers)
    }
}
