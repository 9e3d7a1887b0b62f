import BackendIPC
import EventLoop
import Foundation
import LinuxSystem
import Synchronization
import TestPlaces
import Testing

@testable import BackendSupervisor

/// Echo serves the files of a folder here; it reads none.
@Suite("Models are loaded on demand", .timeLimit(.minutes(1)))
@IOLoop
struct ModelsOnDemandTests {
    private let models = TemporaryFolder()
    /// What each model may take.
    private static let modelMebibytes = 100

    /// A machine with 64 GiB, and room for so many models.
    private func withBench(
        room: Int = 10, keepAlive: UInt32? = 300, _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(configured: { [models] in
            $0.modelsDirectories = [models.path]
            $0.keepAliveSeconds = keepAlive
            $0.memoryBudgetBytes = UInt64(room * Self.modelMebibytes + 50) << 20
            $0.hostMemory = { HostMemory(totalBytes: 64 << 30, availableBytes: 64 << 30) }
        })
        try await bench.use { bench in
            try bench.addEcho(manifest: #"{"serves": ["words"], "memoryMebibytes": \#(Self.modelMebibytes)}"#)
            try bench.supervisor.start()
            await bench.supervisor.rescan()
            bench.supervisor.onAvailable = { _ in bench.check() }
            try await body(bench)
        }
    }

    private func model(_ name: String, _ bench: Workbench) throws -> ManagedBackend {
        try #require(bench.supervisor.backend(model: name))
    }

    private func loaded(_ name: String, _ bench: Workbench) async throws -> ManagedBackend {
        try await waitUntilLoaded(name, bench)
        bench.supervisor.onAvailable = { _ in bench.check() }
        return try model(name, bench)
    }

    /// Asks again whenever it was inspected or memory may have become free, as whoever waits for a model does.
    private func waitUntilLoaded(_ name: String, _ bench: Workbench) async throws {
        let backend = try model(name, bench)
        bench.supervisor.onAvailable = { model in
            if model == name { _ = bench.supervisor.load(name) }
            bench.check()
        }
        #expect(bench.supervisor.load(name) == .coming)
        await bench.until { backend.state == .ready }
    }

    @Test("nothing runs until a request comes; then it is loaded, and unloaded once it was idle for long enough")
    func onDemand() async throws {
        models.write("a.words")
        try await withBench(keepAlive: 0) { bench in
            let backend = try model("a", bench)
            #expect(backend.state == .unloaded && backend.pid == 0)
            #expect(bench.supervisor.models["a"]?.state == .unloaded)
            let stream = bench.collect()
            bench.supervisor.onAvailable = { _ in
                if backend.state == .unloaded, stream.ends == 0 { _ = bench.supervisor.load("a") }
                if backend.state == .ready, stream.ends == 0, stream.tokens.isEmpty {
                    _ = backend.begin(request: (try? request(maxTokens: 3)) ?? [], credit: 100, handler: stream)
                }
                bench.check()
            }
            #expect(bench.supervisor.load("a") == .coming)
            await bench.until { stream.ends == 1 }
            #expect(stream.finish != nil && stream.lossReason == nil)
            await bench.until { backend.state == .unloaded && backend.pid == 0 }
            #expect(backend.restarts == 0)
        }
    }

    @Test("a model that works is not unloaded, and its idle time begins when its work is done")
    func working() async throws {
        models.write("a.words")
        try await withBench { bench in
            let backend = try await loaded("a", bench)
            #expect(backend.millisecondsToUnload != nil)
            let stream = bench.collect()
            let sequence = try #require(
                backend.begin(request: try request(maxTokens: 100), credit: 1, keepAliveSeconds: 0, handler: stream))
            #expect(backend.millisecondsToUnload == nil)
            await bench.until { stream.tokens.count == 1 }
            #expect(backend.state == .ready)
            sequence.cancel()
            await bench.until { backend.state == .unloaded && backend.pid == 0 }
            #expect(stream.lossReason == nil)
        }
    }

    @Test("where memory is short the one that was not used for longest makes room")
    func eviction() async throws {
        for name in ["a", "b", "c"] { models.write("\(name).words") }
        try await withBench(room: 2) { bench in
            let first = try await loaded("a", bench)
            let second = try await loaded("b", bench)
            let stream = bench.collect()
            #expect(first.begin(request: try request(maxTokens: 1), credit: 1, handler: stream) != nil)
            await bench.until { stream.ends == 1 }
            try await waitUntilLoaded("c", bench)
            #expect(second.state == .unloaded && second.pid == 0, "it was used before a was")
            #expect(first.state == .ready)
        }
    }

    @Test("one that works is waited for; one that can never fit is refused with the numbers")
    func shortOfMemory() async throws {
        models.write("a.words")
        models.write("b.words")
        models.write("huge.words")
        models.write("huge.json", #"{"memoryMebibytes": 500}"#)
        try await withBench(room: 1) { bench in
            let first = try await loaded("a", bench)
            let stream = bench.collect()
            let sequence = try #require(
                first.begin(request: try request(maxTokens: 100), credit: 1, handler: stream))
            await bench.until { stream.tokens.count == 1 }
            guard case .refused(let sentence) = bench.supervisor.load("huge") else {
                return #expect(Bool(false), "500 MiB do not fit into 150")
            }
            #expect(sentence.contains("500 MiB") && sentence.contains("the owner allows models 150 MiB"))
            #expect(bench.supervisor.load("b") == .coming)
            #expect(first.state == .ready && stream.lossReason == nil)
            sequence.cancel()
            try await waitUntilLoaded("b", bench)
            #expect(first.pid == 0 && stream.lossReason == nil)
        }
    }

    @Test("a file that comes is a model, one that changes is loaded anew, one that goes is none any more")
    func lifeOfAFile() async throws {
        try await withBench { bench in
            models.write("a.words", "one")
            await bench.supervisor.rescan()
            let backend = try await loaded("a", bench)
            let digest = backend.modelDigest
            #expect(digest.count == 32)
            // As a careful person replaces it.
            models.write(".new", "two")
            rename(models.file(".new"), models.file("a.words"))
            await bench.supervisor.rescan()
            await bench.until { backend.modelDigest != digest && backend.state == .ready }
            models.write("a.json", #"{"maxSequences": 3}"#)
            await bench.supervisor.rescan()
            await bench.until { backend.state == .unloaded && backend.pid == 0 }
            #expect(try await loaded("a", bench).maxSequences == 3)
            let pid = backend.pid
            models.remove("a.words")
            models.remove("a.json")
            // It may be on its way back.
            await bench.supervisor.rescan()
            await bench.supervisor.rescan()
            #expect(bench.supervisor.models["a"] == nil)
            await bench.until { backend.state == .stopped && !isAlive(pid) }
        }
    }

    @Test("weights that are not the pinned ones are refused, with both digests")
    func pinned() async throws {
        models.write("a.words", "one")
        models.write("a.json", #"{"sha256": "\#(String(repeating: "0", count: 64))"}"#)
        try await withBench { bench in
            let backend = try model("a", bench)
            bench.supervisor.onAvailable = { _ in
                if backend.state == .unloaded { _ = bench.supervisor.load("a") }
                bench.check()
            }
            _ = bench.supervisor.load("a")
            await bench.until { backend.state == .failed }
            #expect(backend.detail.contains("7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"))
            #expect(backend.detail.contains(String(repeating: "0", count: 64)))
            #expect(backend.detail.contains("touch \(models.file("a.words"))"))
            models.write("a.json", #"{}"#)
            await bench.supervisor.rescan()
            #expect(try await loaded("a", bench).state == .ready)
        }
    }
}

// Several processes for one model.
extension ModelsOnDemandTests {
    /// A sequence that has computed a token, and may compute no more.
    private func hold(
        _ backend: ManagedBackend, _ bench: Workbench, scope: [UInt8] = []
    ) async throws -> (stream: Collector, sequence: RunningSequence) {
        let stream = bench.collect()
        let sequence = try #require(
            backend.begin(request: try request(maxTokens: 100), credit: 1, cacheScope: scope, handler: stream))
        await bench.until { stream.tokens.count == 1 }
        return (stream, sequence)
    }

    private func chosen(_ scope: [UInt8], _ bench: Workbench) throws -> Int? {
        bench.supervisor.process(for: try #require(bench.supervisor.models["a"])) { scope }?.number
    }

    @Test("another process is loaded once those of the model are full, into free memory, and dies for itself")
    func replicas() async throws {
        models.write("a.words")
        models.write("a.json", #"{"replicas": 3, "maxSequences": 2}"#)
        try await withBench(room: 2) { bench in
            let processes = bench.supervisor.backends
            #expect(processes.map(\.model) == ["a", "a", "a"] && processes.map(\.replica) == [1, 2, 3])
            _ = try await loaded("a", bench)
            let early = try await hold(processes[0], bench, scope: [1])
            #expect(bench.supervisor.load("a") == .coming)
            #expect(processes.map(\.state) == [.ready, .unloaded, .unloaded], "a sequence is free")
            _ = try await hold(processes[0], bench, scope: [1])
            #expect(try chosen([1], bench) == nil)
            #expect(bench.supervisor.models["a"]?.mayLoad == true && bench.supervisor.load("a") == .coming)
            await bench.until { processes[1].state == .ready }
            let late = try await hold(processes[1], bench, scope: [2])
            early.sequence.cancel()
            await bench.until { early.stream.ends == 1 }
            #expect(try chosen([1], bench) == 1 && chosen([2], bench) == 2, "who was served there before")
            let refill = try await hold(processes[0], bench, scope: [1])
            _ = try await hold(processes[1], bench, scope: [2])
            #expect(bench.supervisor.load("a") == .coming)
            #expect(processes[2].state == .unloaded, "there is no memory for it, and nobody is refused for it")
            kill(processes[1].pid, SIGKILL)
            await bench.until { late.stream.lossReason != nil }
            #expect(bench.supervisor.models["a"]?.state == .ready)
            refill.sequence.grant(tokens: 1)
            await bench.until { refill.stream.tokens.count == 2 }
            await bench.until { processes[1].state == .ready }
            #expect(try chosen([1], bench) == 2, "its own has no room")
            #expect(processes.map(\.restarts) == [0, 1, 0])
        }
    }

    @Test("for a model that has no process another's second one takes no new work, and makes room once it is idle")
    func yielding() async throws {
        models.write("a.words")
        models.write("b.words")
        models.write("a.json", #"{"replicas": 2, "maxSequences": 2}"#)
        try await withBench(room: 2) { bench in
            let processes = bench.supervisor.backends.filter { $0.model == "a" }
            _ = try await loaded("a", bench)
            let kept = try await hold(processes[0], bench)
            _ = try await hold(processes[0], bench)
            #expect(bench.supervisor.load("a") == .coming)
            await bench.until { processes[1].state == .ready }
            let held = [try await hold(processes[1], bench), try await hold(processes[1], bench)]
            #expect(bench.supervisor.load("b") == .coming)
            let second = try model("b", bench)
            bench.supervisor.onAvailable = { model in
                if model == "b", second.state == .unloaded { _ = bench.supervisor.load("b") }
                bench.check()
            }
            held[0].sequence.cancel()
            await bench.until { held[0].stream.ends == 1 }
            #expect(processes[1].freeSequences == 1)
            #expect(try chosen([], bench) == nil, "b waits for its memory")
            held[1].sequence.cancel()
            await bench.until { second.state == .ready }
            #expect(processes.map(\.state) == [.ready, .unloaded])
            #expect(kept.stream.ends == 0)
        }
    }

    @Test("fewer processes leave the others running, and a file that is replaced replaces all of them")
    func changedReplicas() async throws {
        models.write("a.words", "one")
        models.write("a.json", #"{"replicas": 3, "load": "start"}"#)
        try await withBench { bench in
            let processes = bench.supervisor.backends
            await bench.until { processes.allSatisfy { $0.state == .ready } }
            let pids = processes.map(\.pid)
            let held = try await hold(processes[2], bench)
            models.write("a.json", #"{"replicas": 2, "load": "start"}"#)
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backends.map(\.pid) == Array(pids[..<2]))
            #expect(processes[2].state == .draining && held.stream.ends == 0)
            held.sequence.cancel()
            await bench.until { processes[2].state == .stopped && held.stream.finish != nil }
            let digest = processes[0].modelDigest
            models.write(".new", "two")
            rename(models.file(".new"), models.file("a.words"))
            await bench.supervisor.rescan()
            await bench.until { processes[..<2].allSatisfy { $0.state == .ready && $0.modelDigest != digest } }
        }
    }
}
