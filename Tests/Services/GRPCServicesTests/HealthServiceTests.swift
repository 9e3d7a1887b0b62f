import EventLoop
import GRPC
import GRPCMessages
import GRPCServices
import LinuxSystem
import SwiftProtobuf
import Testing

typealias HealthRequest = Grpc_Health_V1_HealthCheckRequest
typealias HealthResponse = Grpc_Health_V1_HealthCheckResponse

/// A server with one service, and a client of it.
func withService(_ service: any Service, _ body: (Server, Client) async throws -> Void) async throws {
    let server = await Server()
    await server.register(service)
    let client = try await Client.connect(to: try await server.listen(on: .internet(host: "127.0.0.1", port: 0)))
    do {
        try await body(server, client)
    } catch {
        await server.close()
        throw error
    }
    await client.close()
    await server.close()
}

@Suite(.timeLimit(.minutes(1)))
struct HealthServiceTests {
    private let health = HealthService()

    private func watch(_ service: String, on client: Client) async -> MessageStream<HealthResponse> {
        await client.serverStreaming(
            "/grpc.health.v1.Health/Watch", HealthRequest.with { $0.service = service }, answers: HealthResponse.self)
    }

    private func check(_ service: String, on client: Client) async throws -> HealthResponse {
        try await client.unary("/grpc.health.v1.Health/Check", HealthRequest.with { $0.service = service })
    }

    private func expect(
        _ status: HealthResponse.ServingStatus, next answers: inout MessageStream<HealthResponse>.AsyncIterator,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await answers.next()
        #expect(answer?.status == status, sourceLocation: sourceLocation)
    }

    private func expect(
        _ status: HealthResponse.ServingStatus, of service: String, on client: Client,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await check(service, on: client)
        #expect(answer.status == status, sourceLocation: sourceLocation)
    }

    @Test("Check tells how a service is, and NOT_FOUND of one that is not known")
    func check() async throws {
        await health.update(["": .serving, "model": .notServing])
        try await withService(health) { _, client in
            try await expect(.serving, of: "", on: client)
            try await expect(.notServing, of: "model", on: client)
            let error = await #expect(throws: Status.self) { try await check("other", on: client) }
            #expect(error?.code == .notFound)
            #expect(error?.message.contains("other") == true)
        }
    }

    @Test("List tells how every service is")
    func list() async throws {
        await health.update(["": .serving, "model": .notServing])
        try await withService(health) { _, client in
            let all: Grpc_Health_V1_HealthListResponse = try await client.unary(
                "/grpc.health.v1.Health/List", Grpc_Health_V1_HealthListRequest())
            #expect(all.statuses.mapValues(\.status) == ["": .serving, "model": .notServing])
        }
    }

    @Test("Watch tells each change, also when a service comes and goes, and nothing twice")
    func watch() async throws {
        try await withService(health) { server, client in
            var answers = await watch("model", on: client).makeAsyncIterator()
            try await expect(.serviceUnknown, next: &answers)
            await health.update(["model": .notServing])
            try await expect(.notServing, next: &answers)
            // The same again is no change, and neither is another service's.
            await health.update(["model": .notServing, "other": .serving])
            await health.update(["model": .serving])
            try await expect(.serving, next: &answers)
            await health.update([:])
            try await expect(.serviceUnknown, next: &answers)
        }
    }

    @Test("At the end everything is NOT_SERVING for good, and a watch hears that before its own end")
    func end() async throws {
        await health.update(["": .serving])
        try await withService(health) { server, client in
            var answers = await watch("", on: client).makeAsyncIterator()
            try await expect(.serving, next: &answers)
            await health.end()
            await health.update(["": .serving])
            try await expect(.notServing, next: &answers)
            do {
                let more = try await answers.next()
                Issue.record("the watch went on with \(String(describing: more))")
            } catch let error as Status {
                #expect(error.code == .unavailable)
            }
            try await expect(.notServing, of: "", on: client)
            #expect(await server.openCalls == 0)
        }
    }

    @Test("A watch that is cancelled is forgotten; others go on")
    func cancelled() async throws {
        await health.update(["": .serving])
        try await withService(health) { server, client in
            let path = "/grpc.health.v1.Health/Watch"
            let call = await client.bidirectional(
                path, requests: HealthRequest.self, answers: HealthResponse.self)
            try await call.send(HealthRequest())
            var first = call.responses.makeAsyncIterator()
            try await expect(.serving, next: &first)
            var second = await watch("", on: client).makeAsyncIterator()
            try await expect(.serving, next: &second)
            await call.cancel()
            // Behind the reset on the same connection, so after it.
            _ = try await check("", on: client)
            #expect(await server.openCalls == 1)
            await health.update(["": .notServing])
            try await expect(.notServing, next: &second)
        }
    }

    @Test("A name that no service can have is refused, and not kept", arguments: ["Check", "Watch"])
    func longNames(method: String) async throws {
        try await withService(health) { server, client in
            for (count, isRefused) in [(256, false), (257, true), (4_000, true)] {
                let call = await client.bidirectional(
                    "/grpc.health.v1.Health/\(method)", requests: HealthRequest.self, answers: HealthResponse.self)
                try await call.send(HealthRequest.with { $0.service = String(repeating: "x", count: count) })
                await call.endSending()
                var answers = call.responses.makeAsyncIterator()
                do {
                    let answer = try await answers.next()
                    #expect(method == "Watch" && !isRefused)
                    #expect(answer?.status == .serviceUnknown)
                    await call.cancel()
                } catch let status as Status {
                    #expect(status.code == (isRefused ? .invalidArgument : .notFound))
                    #expect(status.message.contains("serviceNameBytesMax") == isRefused)
                }
            }
        }
    }

    @Test("A watch takes exactly one request")
    func requests() async throws {
        try await withService(health) { _, client in
            for count in [0, 2] {
                let call = await client.bidirectional(
                    "/grpc.health.v1.Health/Watch", requests: HealthRequest.self, answers: HealthResponse.self)
                for _ in 0..<count { try? await call.send(HealthRequest()) }
                await call.endSending()
                let error = await #expect(throws: Status.self) { for try await _ in call.responses {} }
                #expect(error?.code == .internalError)
            }
        }
    }
}
