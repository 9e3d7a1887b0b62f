internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import GRPC
internal import HostAgent
internal import InferenceMessages
internal import LinuxSystem
internal import SwiftProtobuf
internal import TLSSession

/// The options by which the owner's commands find the running agent.
struct OwnerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent to ask.", valueName: "dir"))
    var state: String?
    @Flag(help: "Print JSON.")
    var json = false

    /// Makes one call to the agent on its owner's socket.
    func ask<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, _ type: Response.Type
    ) async throws -> Response {
        try await Self.ask(state, method, request, type)
    }

    /// The same, to the agent with a given state folder.
    static func ask<Request: Message & Sendable, Response: Message & Sendable>(
        _ state: String?, _ method: String, _ request: Request, _ type: Response.Type
    ) async throws -> Response {
        let agent = try await OwnerConnection.open(state: state)
        let response: Response = try await agent.ask(method, request)
        await agent.close()
        return response
    }
}

/// A connection to the agent's socket for its owner.
struct OwnerConnection: Sendable {
    /// The agent answers from memory.
    private static let answerMilliseconds: UInt64 = 20_000

    private let client: Client

    static func open(state: String?) async throws -> OwnerConnection {
        let address = try OwnerSocket.address(state: state, environment: ProcessInfo.processInfo.environment)
        return OwnerConnection(client: try await Connection.open(address, security: .plaintext))
    }

    func ask<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, withinMilliseconds: UInt64 = OwnerConnection.answerMilliseconds
    ) async throws -> Response {
        var options = CallOptions()
        options.timeoutMilliseconds = withinMilliseconds
        do {
            return try await client.unary("/hearth.admin.v1.Admin/\(method)", request, options: options)
        } catch let status as Status where status.code == .deadlineExceeded {
            throw Unreachable(
                description: "the agent at \(client.address) does not answer within "
                    + "\(withinMilliseconds / 1_000) s: see whether its process was stopped")
        } catch let status as Status where status.code == .unavailable {
            throw Unreachable(description: "the agent at \(client.address) has gone: \(status.message)")
        } catch let status as Status where status.code == .unimplemented {
            throw Refusal(
                "the agent at \(client.address) is of another version and does not know this (\(method)): start it anew with "
                    + "this one, 'hearth serve --take-over'")
        }
    }

    /// Has a file served until this connection is closed; returns the model's id.
    func lend(_ path: String) async throws -> String {
        let answers = await client.serverStreaming(
            "/hearth.admin.v1.Admin/Lend", Hearth_Admin_V1_LendRequest.with { $0.path = path },
            answers: Hearth_Admin_V1_LendResponse.self)
        return try await withCheckedThrowingContinuation { continuation in
            // The call stays open as long as the task awaits its answers.
            Task {
                var isAnswered = false
                do {
                    for try await answer in answers where !isAnswered {
                        isAnswered = true
                        continuation.resume(returning: answer.model)
                    }
                    throw Status(.unavailable, "the agent ended the call")
                } catch {
                    if !isAnswered { continuation.resume(throwing: error) }
                }
            }
        }
    }

    /// Has the agent bring a model; the call ends with whoever reads its answers.
    func pull(_ request: Hearth_Admin_V1_PullRequest) async -> MessageStream<Hearth_Admin_V1_PullProgress> {
        await client.serverStreaming(
            "/hearth.admin.v1.Admin/Pull", request, answers: Hearth_Admin_V1_PullProgress.self)
    }

    func close() async { await client.close() }
}

/// Opens a connection; the error says what to do when no agent answers.
enum Connection {
    /// A model may be silent for minutes before its first token; a host that is gone is noticed all the same.
    private static let limits = Limits.client(keepaliveMilliseconds: 30_000)

    static func open(_ address: SocketAddress, security: ClientSecurity) async throws -> Client {
        do {
            return try await Client.connect(to: address, security: security, limits: limits)
        } catch {
            throw unreachable(Status(describing: error).message, security)
        }
    }

    /// Says what to do about this reason.
    static func unreachable(_ reason: String, _ security: ClientSecurity) -> Unreachable {
        Unreachable(
            description: "\(reason); \(remedy(reason, security))", isForbidden: reason.contains("Permission denied"))
    }

    private static func remedy(_ reason: String, _ security: ClientSecurity) -> String {
        switch security {
        case .tls(let tls) where tls.identity == nil && reason.contains("alert certificate required"):
            "it asks its clients for a certificate: show yours with --tls-certificate and --tls-key"
        case .tls(let tls) where tls.identity != nil && reason.contains(" alert "):
            "it does not take this certificate: show one with --tls-certificate that its --tls-client-authority signed"
        case .tls where reason.contains("certificate"):
            "trust it with --fingerprint and the SHA-256 that 'hearth serve' logs, or with --authorities"
        case .plaintext where reason.contains("closed the connection"): "if it serves TLS, add --tls"
        case .plaintext where reason.contains("Permission denied"):
            "only the user who runs the agent can ask it: run this as that user, or as root"
        case .plaintext where reason.contains("handshakeMilliseconds") || reason.contains("no HTTP/2"):
            "another program listens there, or the agent was stopped (SIGSTOP) or hangs"
        case .tls, .plaintext:
            "start one with 'hearth serve', or say where it is with --state (the owner's commands) or --to"
        }
    }
}
