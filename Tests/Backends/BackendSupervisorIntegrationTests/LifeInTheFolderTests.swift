import BackendIPC
import EventLoop
import Foundation
import TestPlaces
import Testing

@testable import BackendSupervisor

@Suite("Backends come and go with their files", .timeLimit(.minutes(1)))
@IOLoop
struct LifeInTheFolderTests {
    private func withBench(
        policies: String = Repository.policies, _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(policies: policies, adjust)
        try await bench.use(body)
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

    @Test("a changed one that is idle is started anew")
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
            await bench.until { backend.state == .waiting }
            #expect(bench.supervisor.backends.count == 1)
            #expect(!isAlive(pid))
        }
    }

    /// A stream that is seen to go on, and does not end by itself.
    private func stream(_ backend: ManagedBackend, _ bench: Workbench) async throws -> Collector {
        let stream = bench.collect()
        let endless = try request(
            maxTokens: 1_000_000, options: ["tokens_per_second": "200", "crash_at": "900000"])
        #expect(backend.begin(request: endless, credit: .max, handler: stream) != nil)
        await bench.until { stream.tokens.count >= 3 }
        return stream
    }

    private func goesOn(_ stream: Collector, _ bench: Workbench) async {
        let count = stream.tokens.count
        await bench.until { stream.tokens.count > count + 3 || stream.ends > 0 }
        #expect(stream.ends == 0, "\(stream.lossReason ?? "")")
    }

    @Test("touching, adding a model, blanks and a half-saved manifest leave every stream as it is")
    func careless() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}, {"id": "n"}]}"#)
            _ = try await bench.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let backend = try #require(bench.supervisor.backend(model: "m"))
            let stream = try await stream(backend, bench)
            let pids = bench.supervisor.backends.map(\.pid)
            @IOLoop func expectUndisturbed(_ models: [String]) async {
                await bench.supervisor.rescan()
                #expect(bench.supervisor.backends.map(\.model) == models)
                #expect(Array(bench.supervisor.backends.map(\.pid).prefix(2)) == pids)
                await goesOn(stream, bench)
            }
            // Known by what it holds from the first look after the start on.
            await bench.supervisor.rescan()
            utimes(bench.folder + "/echo", nil)
            utimes(bench.folder + "/echo.json", nil)
            await expectUndisturbed(["m", "n"])
            try bench.write("echo.json", #"{ "models": [ {"id": "m"}, {"id": "n"} ] }"#)
            await expectUndisturbed(["m", "n"])
            try bench.write("echo.json", #"{"models": [{"id": "m"}, {"id""#)
            await expectUndisturbed(["m", "n"])
            #expect(backend.detail.contains("echo.json:1: "))
            #expect(backend.detail.contains("the earlier settings are in force"))
            try bench.write("echo.json", #"{"models": [{"id": "m"}, {"id": "n"}, {"id": "o"}]}"#)
            await expectUndisturbed(["m", "n", "o"])
            #expect(backend.detail == "")
            await bench.until { bench.supervisor.backend(model: "o")?.state == .ready }
        }
    }

    @Test("a policy that means something else replaces what it holds, and one that means the same does not")
    func policyChanged() async throws {
        let policies = PolicyPlace()
        let strict = try PolicyPlace.strict()
        policies.write("own", strict)
        try await withBench(policies: policies.path) { bench in
            try bench.addEcho(manifest: #"{"policy": "own", "models": [{"id": "m"}]}"#)
            try bench.addEcho("other", manifest: #"{"policy": "unshipped", "models": [{"id": "n"}]}"#)
            _ = try await bench.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let backend = try #require(bench.supervisor.backend(model: "m"))
            let unnamed = try #require(bench.supervisor.backend(model: "n"))
            let (pid, unnamedPid) = (backend.pid, unnamed.pid)
            let stream = bench.collect()
            let long = try request(maxTokens: 1_000_000, options: ["tokens_per_second": "200"])
            let sequence = try #require(backend.begin(request: long, credit: .max, handler: stream))
            await bench.supervisor.rescan()
            policies.write("own", strict + "\n")
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.pid == pid)
            policies.write("own", "{")
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.pid == pid)
            #expect(backend.detail.contains("own.json:1") && backend.detail.contains("the earlier one is in force"))
            policies.remove("own")
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.detail.contains("own.json, is gone"))
            let rule = #"{"comment": "A session.", "names": ["setsid"], "action": "SCMP_ACT_ALLOW"},"#
            let other = strict.replacingOccurrences(of: #""syscalls": ["#, with: #""syscalls": ["# + rule)
            try #require(other != strict)
            policies.write("own", other)
            await bench.supervisor.rescan()
            #expect(backend.state == .draining, "\(backend.detail)")
            await goesOn(stream, bench)
            policies.write("own", strict)
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.pid == pid && backend.detail == "", "it was taken back")
            policies.write("own", other)
            await bench.supervisor.rescan()
            sequence.cancel()
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(unnamed.pid == unnamedPid)
        }
    }

    @Test("a manifest that names a policy which cannot be read leaves what runs as it is, until it can")
    func policyNamed() async throws {
        let policies = PolicyPlace()
        policies.write("own", try PolicyPlace.strict())
        try await withBench(policies: policies.path) { bench in
            try bench.addEcho(manifest: #"{"policy": "own"}"#)
            let backend = try await bench.start()
            let pid = backend.pid
            try bench.write("echo.json", #"{"policy": "better"}"#)
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.pid == pid)
            #expect(backend.detail.contains("better.json"))
            #expect(backend.detail.contains("the earlier settings are in force"))
            policies.write("better", try PolicyPlace.strict())
            await bench.supervisor.rescan()
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.policyName == "better" && backend.detail == "")
        }
    }

    @Test("a model whose settings changed lets what runs end, takes nothing new, and starts anew as it is to be")
    func drained() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}, {"id": "n"}]}"#)
            _ = try await bench.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let backend = try #require(bench.supervisor.backend(model: "m"))
            let other = try #require(bench.supervisor.backend(model: "n"))
            let (pid, otherPid) = (backend.pid, other.pid)
            let stream = bench.collect()
            let long = try request(maxTokens: 100, options: ["tokens_per_second": "200"])
            let sequence = try #require(backend.begin(request: long, credit: .max, handler: stream))
            await bench.until { stream.tokens.count >= 3 }
            try bench.write("echo.json", #"{"models": [{"id": "m", "contextTokens": 77}, {"id": "n"}]}"#)
            await bench.supervisor.rescan()
            #expect(backend.state == .draining)
            #expect(backend.detail.contains("what runs on it goes on"))
            #expect(backend.begin(request: long, credit: .max, handler: bench.collect()) == nil)
            await bench.until { stream.ends == 1 }
            #expect(stream.tokens.count == 100, "\(sequence.id)")
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.maxContextTokens == 77)
            #expect(backend.restarts == 0)
            #expect(other.pid == otherPid)
        }
    }

    @Test("what does not end within the drain's time is ended, and is told that the backend is gone")
    func overdue() async throws {
        try await withBench {
            $0.drainMilliseconds = 100
            $0.replaceGraceMilliseconds = 100
        } _: { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}]}"#)
            let backend = try await bench.start()
            let pid = backend.pid
            let stream = try await stream(backend, bench)
            try bench.write("echo.json", #"{"models": [{"id": "m", "contextTokens": 77}]}"#)
            await bench.supervisor.rescan()
            await bench.until { stream.ends == 1 }
            #expect(stream.finish == nil && stream.lossReason != nil)
            await bench.until { backend.state == .ready && backend.pid != pid }
        }
    }

    @Test("a model that is taken out of its manifest ends with its streams; put back in time, it goes on")
    func takenOut() async throws {
        try await withBench { bench in
            let both = #"{"models": [{"id": "m"}, {"id": "n"}]}"#
            try bench.addEcho(manifest: both)
            _ = try await bench.start()
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let backend = try #require(bench.supervisor.backend(model: "n"))
            let stream = try await stream(backend, bench)
            try bench.write("echo.json", #"{"models": [{"id": "m"}]}"#)
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backends.map(\.model) == ["m"])
            await goesOn(stream, bench)
            try bench.write("echo.json", both)
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backend(model: "n") === backend)
            #expect(backend.state == .ready)
            await goesOn(stream, bench)
            bench.remove("echo")
            await bench.supervisor.rescan()
            await bench.until { backend.state == .stopped && stream.ends == 1 }
        }
    }

    @Test("an executable that is overwritten by half of another leaves the one that runs; the whole one replaces it")
    func halfExecutable() async throws {
        try await withBench { bench in
            try bench.addEcho()
            let backend = try await bench.start()
            let pid = backend.pid
            let stream = try await stream(backend, bench)
            let whole = try Data(contentsOf: URL(fileURLWithPath: Built.path("unruly")))
            try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: bench.folder + "/.half"))
            chmod(bench.folder + "/.half", 0o755)
            rename(bench.folder + "/.half", bench.folder + "/echo")
            await bench.supervisor.rescan()
            #expect(backend.state == .ready)
            #expect(backend.detail.contains("is not whole"), "\(backend.detail)")
            await goesOn(stream, bench)
            #expect(backend.pid == pid)
        }
    }

    @Test("a failed backend that is touched is tried again")
    func touched() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "options": {"load_fault": "bad_model"}}]}"#)
            let backend = try await bench.start(until: .failed)
            #expect(backend.detail.contains("touch \(bench.folder)/echo"))
            await bench.supervisor.rescan()
            await bench.supervisor.rescan()
            #expect(backend.state == .failed)
            let exit = backend.lastExit
            utimes(bench.folder + "/echo", nil)
            await bench.supervisor.rescan()
            #expect(backend.state == .starting)
            await bench.until { backend.state == .failed }
            #expect(exit != nil)
        }
    }

    @Test("weights that come late are taken up when they are there, whole")
    func lateWeights() async throws {
        try await withBench {
            $0.weightsSettledMilliseconds = 300
        } _: { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "w.gguf"}]}"#)
            let backend = try await bench.start(until: .waiting)
            #expect(backend.detail == "waits for its weights: \(bench.folder)/w.gguf is missing")
            #expect(!bench.supervisor.ignored.contains { $0.name == "w.gguf" })
            try bench.write("w.gguf", "weights")
            await bench.supervisor.rescan()
            #expect(backend.state == .waiting)
            #expect(backend.detail == "waits for its weights: \(bench.folder)/w.gguf is still being written")
            while backend.state == .waiting { await bench.supervisor.rescan() }
            await bench.until { backend.state == .ready }
            #expect(backend.modelDigest.count == 32)
        }
    }

    @Test("weights that are written in place end what runs on them, and are loaded anew with their own digest")
    func overwrittenWeights() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "w.gguf"}]}"#)
            try bench.write("w.gguf", "weights of one kind")
            let backend = try await bench.start()
            let (pid, digest) = (backend.pid, backend.modelDigest)
            let stream = try await stream(backend, bench)
            utimes(bench.folder + "/w.gguf", nil)
            await bench.supervisor.rescan()
            await goesOn(stream, bench)
            #expect(backend.pid == pid, "it was only touched")
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: bench.folder + "/w.gguf"))
            try file.write(contentsOf: Data("WEIGHTS".utf8))
            try file.close()
            await bench.supervisor.rescan()
            await bench.until { stream.ends == 1 }
            #expect(stream.lossReason?.contains("its weights, \(bench.folder)/w.gguf, changed") == true)
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.modelDigest != digest)
            #expect(backend.restarts == 0)
        }
    }

    @Test("weights that are replaced while they serve are read first; only other ones end what runs")
    func replacedWeights() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "w.gguf"}]}"#)
            try bench.write("w.gguf", "weights")
            let backend = try await bench.start()
            let (pid, digest) = (backend.pid, backend.modelDigest)
            let stream = try await stream(backend, bench)
            bench.remove("w.gguf")
            await bench.supervisor.rescan()
            #expect(backend.detail.contains("are gone"))
            await goesOn(stream, bench)
            try bench.write(".new", "weights")
            rename(bench.folder + "/.new", bench.folder + "/w.gguf")
            await bench.supervisor.rescan()
            await goesOn(stream, bench)
            #expect(backend.pid == pid)
            try bench.write(".new", "others")
            rename(bench.folder + "/.new", bench.folder + "/w.gguf")
            await bench.supervisor.rescan()
            await bench.until { stream.ends == 1 }
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.modelDigest != digest)
        }
    }

    @Test("a model that is to have other weights is drained as for any change, not ended for them")
    func otherWeights() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "w.gguf"}]}"#)
            try bench.write("w.gguf", "weights")
            try bench.write("v.gguf", "others")
            let backend = try await bench.start()
            let (pid, digest) = (backend.pid, backend.modelDigest)
            let stream = try await stream(backend, bench)
            try bench.write("echo.json", #"{"models": [{"id": "m", "file": "v.gguf"}]}"#)
            for _ in 0..<3 {
                await bench.supervisor.rescan()
                await goesOn(stream, bench)
                #expect(backend.state == .draining && backend.pid == pid)
            }
            #expect(backend.modelDigest == digest)
        }
    }

    @Test("one that comes back while another serves its model ends and waits: never do two serve it")
    func comesBack() async throws {
        try await withBench {
            $0.replaceGraceMilliseconds = 100
        } _: { bench in
            try bench.addEcho("b", manifest: #"{"models": [{"id": "m"}, {"id": "n"}]}"#)
            let first = try await bench.start()
            let stream = try await stream(first, bench)
            try bench.addEcho("a", manifest: #"{"models": [{"id": "m"}]}"#)
            try bench.write("b.json", #"{"models": [{"id": "n"}]}"#)
            await bench.supervisor.rescan()
            let second = try #require(bench.supervisor.backend(model: "m"))
            #expect(second.name == "a" && first.state == .draining)
            try bench.write("b.json", #"{"models": [{"id": "m"}, {"id": "n"}]}"#)
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backend(model: "m") === second)
            #expect(bench.supervisor.backends.filter { $0.model == "m" }.map(\.name) == ["a", "b"])
            await goesOn(stream, bench)
            #expect(first.begin(request: try request(), credit: 1, handler: bench.collect()) == nil)
            first.stop(graceMilliseconds: 0, why: "")
            await bench.until { first.pid == 0 && second.state == .ready }
            let pid = second.pid
            for _ in 0..<2 {
                await bench.supervisor.rescan()
                #expect(first.state == .failed && first.detail.contains("is served by a already"))
                #expect(second.state == .ready && second.pid == pid)
            }
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
