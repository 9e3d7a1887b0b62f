import BackendIPC
import EventLoop
import LinuxSystem
import TestPlaces
import Testing

@testable import BackendSupervisor

/// A script plays the backend: it says its messages, whatever it is asked, and then does as the shell is told.
@Suite("A backend inspects a file before it is loaded", .timeLimit(.minutes(1)))
@IOLoop
struct ModelInspectionTests {
    private let models = TemporaryFolder()

    /// What a script was taken to tell of a file, and its backend afterwards.
    private func inspected(
        saying messages: [BackendMessage], then text: String, milliseconds: UInt64 = 20_000,
        _ body: @IOLoop (InspectedFile, ManagedBackend) throws -> Void
    ) async throws {
        models.write("a.words", "weights")
        let bench = try Workbench(configured: { [models] in
            $0.modelsDirectories = [models.path]
            $0.hostMemory = { HostMemory(totalBytes: 64 << 30, availableBytes: 64 << 30) }
            $0.limits.inspectionMilliseconds = milliseconds
        })
        try await bench.use { bench in
            try bench.write("script.json", #"{"serves": ["words"]}"#)
            let hello = BackendMessage.hello(Hello(name: "script", version: "1", capabilities: ["inspect"]))
            try bench.addScript(saying: [hello] + messages, then: text)
            bench.supervisor.onAvailable = { _ in bench.check() }
            try bench.supervisor.start()
            await bench.supervisor.rescan()
            let backend = try #require(bench.supervisor.backend(model: "a"))
            await bench.until { backend.inspectedFile != nil }
            #expect(backend.pid == 0, "nothing was loaded")
            try body(try #require(backend.inspectedFile), backend)
        }
    }

    private func inspection(memoryBytes: UInt64) -> BackendMessage {
        var inspected = Inspected()
        inspected.contextTokens = 100
        inspected.maxSequences = 1
        inspected.memoryBytes = memoryBytes
        return .inspected(inspected)
    }

    @Test("the memory that it tells of counts, with a reserve, beside the weights")
    func told() async throws {
        try await inspected(saying: [inspection(memoryBytes: 640 << 20)], then: "sleep 100") { file, backend in
            guard case .inspected(let inspected) = file else { return #expect(Bool(false), "\(file)") }
            #expect(inspected.contextTokens == 100)
            #expect(backend.state == .unloaded)
            #expect(backend.memoryMaxBytes == (640 + 20 + 64) << 20 + 7)
        }
    }

    @Test("a file that it cannot load has failed before anybody asks, with the reason")
    func refused() async throws {
        try await inspected(saying: [.fatal(Fault(.badModel, "the weights are torn"))], then: "exit 1") {
            file, backend in
            #expect(file == .refused("the weights are torn"))
            #expect(backend.state == .failed && backend.detail.contains("the weights are torn"))
        }
    }

    @Test(
        "one that dies, breaks the contract, fails or says nothing tells nothing; the model waits to be loaded",
        arguments: ["dies", "lies", "fails", "hangs"])
    func untold(way: String) async throws {
        let (messages, text): ([BackendMessage], String) =
            switch way {
            case "dies": ([], "exit 3")
            case "lies": ([inspection(memoryBytes: 0)], "sleep 100")
            case "fails": ([.fatal(Fault(.internal, "no idea"))], "sleep 100")
            default: ([], "sleep 100")
            }
        try await inspected(saying: messages, then: text, milliseconds: way == "hangs" ? 300 : 20_000) {
            file, backend in
            guard case .untold(let why) = file else { return #expect(Bool(false), "\(file)") }
            let part = ["dies": "status 3", "lies": "memory_bytes is 0", "fails": "no idea", "hangs": "300 ms"][way]
            #expect(why.contains(part ?? "?"), "\(why)")
            #expect(backend.state == .unloaded)
            #expect(backend.memoryMaxBytes == 1_024 << 20 + 7)
        }
    }
}
