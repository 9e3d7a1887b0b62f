import GRPC
import Glibc
import InferenceMessages
import ModelPull
import SwiftProtobuf
import Testing

@testable import AdminService

struct PullDeskTests {
    /// As an agent does: a process may end before it has read its request.
    init() { signal(SIGPIPE, SIG_IGN) }

    private static let address = "https://host.example/x.gguf"

    private func refusal(
        _ request: Hearth_Admin_V1_PullRequest, program: String? = "/bin/false", folder: String? = "/nowhere"
    ) async -> Status? {
        let desk = PullDesk(PullDesk.Place(program: program, folder: folder, environment: [:]))
        return await #expect(throws: Status.self) { try await desk.pull(request) { _ in } }
    }

    @Test func `what cannot be pulled is refused before a process is started for it`() async {
        #expect(await refusal(.with { $0.source = "fox" })?.code == .invalidArgument)
        #expect(await refusal(.with { $0.source = Self.address })?.message.contains("sha256") == true)
        #expect(await refusal(.with { $0.source = "/etc/passwd" })?.code == .invalidArgument)
        let badName = Hearth_Admin_V1_PullRequest.with {
            $0.source = "h.example/fox"
            $0.model = "a b"
        }
        #expect(await refusal(badName)?.code == .invalidArgument)
    }

    @Test func `an agent without the program or a folder says so`() async {
        let request = Hearth_Admin_V1_PullRequest.with { $0.source = "h.example/fox" }
        #expect(await refusal(request, program: nil)?.code == .failedPrecondition)
        #expect(await refusal(request, folder: nil)?.message.contains("--models") == true)
    }

    @Test func `a process that says nothing is a failure after which the same request may succeed`() async throws {
        let desk = PullDesk(PullDesk.Place(program: "/bin/false", folder: "/nowhere", environment: [:]))
        let (answers, told) = AsyncStream.makeStream(of: Hearth_Admin_V1_PullProgress.self)
        try await desk.pull(.with { $0.source = "h.example/fox" }) { told.yield($0) }
        told.finish()
        var events: [Hearth_Admin_V1_PullProgress] = []
        for await answer in answers { events.append(answer) }
        #expect(events.map(\.event) == ["failed"])
        #expect(events.map(\.exitCode) == [75])
        #expect(await desk.list.isEmpty)
    }

    @Test func `a pull gets of the agent's environment what proxies and credentials need, and no more`() {
        let place = PullDesk.Place(
            program: nil, folder: nil,
            environment: ["https_proxy": "p", "HOME": "/h", "HEARTH_KEY": "k", "LD_PRELOAD": "x"])
        #expect(place.variables == ["https_proxy": "p", "HOME": "/h"])
    }

    @Test func `an event reaches the caller as the process said it`() {
        var event = PullEvent(.failed, "why", done: 1, total: 2)
        (event.model, event.name, event.code) = ("fox:q4_0", "fox", 75)
        let told = AdminAnswers.described(event)
        #expect(told.event == "failed" && told.text == "why" && told.doneBytes == 1 && told.totalBytes == 2)
        #expect(told.model == "fox:q4_0" && told.name == "fox" && told.exitCode == 75)
    }
}
