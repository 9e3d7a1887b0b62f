import BackendIPC
import EventLoop
import Foundation
import Testing

@testable import BackendSupervisor

@Suite("Backends come and go with their files", .timeLimit(.minutes(1)))
@IOLoop
struct LifeInTheFolderTests {
    private func withBench(
        _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(adjust)
        do {
            try await body(bench)
        } catch {
            await bench.close()
            throw error
        }
        await bench.close()
    }

    @Test("an executable that is dropped in is started by itself")
    func droppedIn() async throws {
        try await withBench {
            $0.rescanMilliseconds = 50
            $0.settledMilliseconds = 20
        } _: { bench in
            try bench.supervisor.start()
            #expect(bench.supervisor.backends.isEmpty)
            try bench.addEcho("late")
            await bench.until { bench.supervisor.backend(model: "late")?.state == .ready }
        }
    }

    @Test("a removed executable is ended and forgotten")
    func removed() async throws {
        try await withBench { bench in
            try bench.addEcho("a")
            try bench.addEcho("b")
            try bench.supervisor.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let leaving = try #require(bench.supervisor.backend(model: "a"))
            let pid = leaving.pid
            bench.remove("a")
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backends.map(\.name) == ["b"])
            await bench.until { leaving.pid == 0 && leaving.state == .stopped }
            #expect(!isAlive(pid))
        }
    }

    @Test("a changed executable is started anew, and so is a failed one that is touched")
    func changed() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}]}"#)
            let backend = try await bench.start()
            let pid = backend.pid
            await bench.supervisor.rescan()
            #expect(backend.pid == pid, "nothing changed")
            bench.remove("echo")
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "none"}]}"#)
            await bench.supervisor.rescan()
            await bench.until { backend.state == .failed }
            #expect(bench.supervisor.backends.count == 1)
            #expect(!isAlive(pid))
            try bench.write("none", "now it is there")
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: bench.folder + "/echo")
            await bench.supervisor.rescan()
            await bench.until { backend.state == .ready }
        }
    }

    @Test("of two that claim one model the second is told of the first, and takes over when that is gone")
    func duplicateModels() async throws {
        try await withBench { bench in
            try bench.addEcho("a", manifest: #"{"models": [{"id": "m"}, {"id": "n"}]}"#)
            try bench.addEcho("b", manifest: #"{"models": [{"id": "m"}]}"#)
            try bench.supervisor.start()
            #expect(bench.supervisor.backends.map { "\($0.name)/\($0.model)" } == ["a/m", "a/n", "b/m"])
            let second = try #require(bench.supervisor.backends.last)
            #expect(second.state == .failed)
            #expect(second.detail.contains("the model 'm' of b is served by a already"))
            #expect(bench.supervisor.backend(model: "m")?.name == "a")
            await bench.until { bench.supervisor.backend(model: "m")?.state == .ready }
            // Whoever waits for the model must hear that it is another backend's now, and when that is ready.
            var heard: [ManagedBackend.State] = []
            bench.supervisor.onAvailable = { model in
                if model == "m", bench.supervisor.backend(model: model) === second { heard.append(second.state) }
                bench.check()
            }
            bench.remove("a")
            await bench.supervisor.rescan()
            await bench.until { heard.last == .ready }
            #expect(heard.first == .starting)
            #expect(bench.supervisor.backend(model: "m") === second)
        }
    }

    @Test("what is in the folder and is no backend is shown with a reason")
    func ignored() async throws {
        try await withBench { bench in
            try bench.write("README", "hello")
            try bench.supervisor.start()
            #expect(bench.supervisor.ignored.map(\.name) == ["README"])
        }
    }

    @Test("a missing folder is told, not made")
    func missingFolder() async throws {
        try await withBench { bench in
            try FileManager.default.removeItem(atPath: bench.folder)
            #expect(throws: (any Error).self) { try bench.supervisor.start() }
        }
    }

    @Test("a stop leaves no process, not even of one that hangs")
    func stop() async throws {
        try await withBench { bench in
            for name in ["a", "b", "c"] { try bench.addEcho(name) }
            try bench.supervisor.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let pids = bench.supervisor.backends.map(\.pid)
            #expect(pids.allSatisfy { $0 > 0 && isAlive($0) })
            let running = bench.collect()
            let endless = try request(maxTokens: 1_000_000, options: ["hang_at": "3"])
            #expect(bench.supervisor.backends[0].begin(request: endless, credit: .max, handler: running) != nil)
            await bench.until { running.tokens.count >= 3 }
            await bench.supervisor.stop(graceMilliseconds: 200)
            #expect(!pids.contains { isAlive($0) })
            #expect(running.ends == 1)
            #expect(bench.supervisor.backends.allSatisfy { $0.state == .stopped && $0.pid == 0 })
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backends.allSatisfy { $0.pid == 0 })
        }
    }
}
