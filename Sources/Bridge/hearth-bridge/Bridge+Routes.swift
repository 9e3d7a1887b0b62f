internal import Foundation
internal import HTTPProtocols
internal import HTTPTypes
internal import HummingbirdCore
internal import InferenceMessages

extension Bridge {
    /// What there is, by path: the methods that it takes, and its answer.
    func answer(_ request: Request, allowing origin: String?) async throws(HTTPFailure) -> Response {
        let path = request.uri.path
        guard let route = Route(path: path) else {
            throw HTTPFailure(
                404, type: "invalid_request_error", code: "not_found", "there is no '\(path.prefix(256))' here")
        }
        if request.method == .options, origin != nil { return .preflight(route.method) }
        guard request.method == route.method || (request.method == .head && route.method == .get) else {
            throw HTTPFailure(
                405, type: "invalid_request_error", code: "method_not_allowed",
                "\(path) takes \(route.method.rawValue), not \(request.method.rawValue.prefix(32))")
        }
        let exchange = try Exchange(self, request)
        switch route {
        case .root: return .text("Hearth lends language models here.\n", "text/plain; charset=utf-8")
        case .models: return .json(ModelList.object(try await exchange.models()))
        case .model(let id):
            guard let model = try await exchange.models().first(where: { $0.id == id }) else {
                throw HTTPFailure(
                    404, type: "invalid_request_error", code: "model_not_found", param: "model",
                    "there is no model '\(id.prefix(256))' here")
            }
            return .json(ModelList.object(model))
        case .chatCompletions: return try await exchange.turn(ChatCompletionRequest.self)
        }
    }
}

/// What a path leads to.
enum Route: Equatable {
    case root
    case models
    case model(String)
    case chatCompletions

    init?(path: String) {
        switch path {
        case "/": self = .root
        case "/v1/models": self = .models
        case "/v1/chat/completions": self = .chatCompletions
        default:
            let models = "/v1/models/"
            guard path.hasPrefix(models), let id = path.dropFirst(models.count).removingPercentEncoding, !id.isEmpty
            else { return nil }
            self = .model(id)
        }
    }

    var method: HTTPRequest.Method {
        switch self {
        case .root, .models, .model: .get
        case .chatCompletions: .post
        }
    }
}

extension Response {
    /// What a browser asks before it lets a page of another origin send a request (Fetch, section 4.8).
    static func preflight(_ method: HTTPRequest.Method) -> Response {
        var headers = HTTPFields()
        headers[.accessControlAllowMethods] = method.rawValue
        headers[.accessControlAllowHeaders] = "authorization, content-type, x-api-key"
        headers[.accessControlMaxAge] = "600"
        return Response(status: .noContent, headers: headers)
    }
}
