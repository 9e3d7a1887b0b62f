internal import ArgumentParser
internal import EventLoop
internal import Foundation
internal import GRPC
internal import HostAgent
internal import LinuxSystem
internal import SwiftProtobuf

/// How the owner's commands find the running agent.
struct OwnerOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent to ask.", valueName: "dir"))
    var state: String?
    @Flag(help: "Print JSON.")
    var json = false

    /// Asks the agent one thing on its owner's socket.
    func ask<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, _ type: Response.Type
    ) async throws -> Response {
        let environment = ProcessInfo.processInfo.environment
        let folder = state ?? environment["HEARTH_STATE"]
        let address = try OwnerSocket.address(state: folder, environment: environment)
        let client = try await Connection.open(address, security: .plaintext)
        defer { Task { await client.close() } }
        return try await client.unary("/hearth.admin.v1.Admin/\(method)", request)
    }
}

/// Opens a connection, or says what to do when nobody answers.
enum Connection {
    static func open(_ address: SocketAddress, security: ClientSecurity) async throws -> Client {
        do {
            return try await Client.connect(to: address, security: security)
        } catch {
            let remedy = "start one with 'hearth serve', or say where it is with --state (the owner's commands) or --to"
            throw Unreachable(description: "\(Status(describing: error).message); \(remedy)")
        }
    }
}
