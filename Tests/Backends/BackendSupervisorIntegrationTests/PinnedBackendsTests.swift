import EventLoop
import Foundation
import Logging
import TestPlaces
import Testing

@testable import BackendSupervisor

/// Backends that change, and their owner's trust. The launcher, which executes what was hashed, needs an ordinary user.
@Suite("Backends that are pinned", .timeLimit(.minutes(1)), .enabled(if: geteuid() != 0))
@IOLoop
struct PinnedBackendsTests {
    private let state = TemporaryFolder()

    private func pins() throws -> PinBook {
        try PinBook(
            state: state.path, installed: { [:] }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func withBench(
        policies: String = Repository.policies, _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let pins = try pins()
        try await Workbench(sandboxed: true, policies: policies, configured: { $0.pins = pins }).use(body)
    }

    /// Has an agent before this one have accepted another file for this part.
    private func accept(another part: BackendPins.Part) throws {
        let path = state.file("pins.json")
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var files = try #require(try BackendPins(bytes, file: path).all["echo"])
        files[part] = [UInt8](repeating: 0, count: 32)
        try pins().trust("echo", files)
    }

    /// Puts an echo there that is another file, and does the same.
    private func replaceEcho(_ bench: Workbench) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: Built.path("echo")))
        bytes.append(0)
        try bytes.write(to: URL(fileURLWithPath: bench.folder + "/.echo"))
        chmod(bench.folder + "/.echo", 0o755)
        rename(bench.folder + "/.echo", bench.folder + "/echo")
    }

    @Test("an executable that has changed waits, what runs goes on and serves, and once it is trusted it starts")
    func executable() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}]}"#)
            let backend = try await bench.start()
            await bench.supervisor.rescan()
            let pid = backend.pid
            let stream = bench.collect()
            let long = try request(maxTokens: 1_000_000, options: ["tokens_per_second": "200"])
            let sequence = try #require(backend.begin(request: long, credit: .max, handler: stream))
            await bench.until { stream.tokens.count >= 3 }
            try replaceEcho(bench)
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.pid == pid)
            #expect(backend.detail.contains("its executable changed: was sha256 "), "\(backend.detail)")
            #expect(backend.detail.contains("hearth backends trust echo"))
            #expect(bench.supervisor.untrusted["echo"]?.map(\.part) == [.executable])
            let other = bench.collect()
            #expect(backend.begin(request: try request(maxTokens: 5), credit: .max, handler: other) != nil)
            await bench.until { other.ends == 1 }
            #expect(other.tokens.count == 5 && stream.ends == 0)
            let accepted = try #require(try await bench.supervisor.trust("echo"))
            #expect(accepted.map(\.part) == [.executable])
            #expect(backend.state == .draining && stream.ends == 0 && bench.supervisor.untrusted.isEmpty)
            sequence.cancel()
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.detail == "")
            #expect(try await bench.supervisor.trust("echo") == [])
            #expect(try await bench.supervisor.trust("nobody") == nil)
        }
    }

    @Test("a process that is lost while its executable waits is not replaced by the one that lies there")
    func lost() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}]}"#)
            let backend = try await bench.start()
            await bench.supervisor.rescan()
            try replaceEcho(bench)
            await bench.supervisor.rescan()
            let pid = backend.pid
            kill(pid, SIGKILL)
            await bench.until { backend.pid == 0 && backend.state == .untrusted }
            #expect(bench.supervisor.models["m"]?.state == .unavailable)
            for _ in 0..<3 { await bench.supervisor.rescan() }
            #expect(backend.state == .untrusted && backend.pid == 0)
            _ = try await bench.supervisor.trust("echo")
            await bench.until { backend.state == .ready }
        }
    }

    @Test("a manifest that has changed waits, and a lost process comes back with the earlier settings")
    func manifest() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "contextTokens": 66}]}"#)
            let backend = try await bench.start()
            await bench.supervisor.rescan()
            let pid = backend.pid
            try bench.write("echo.json", #"{"models": [{"id": "m", "contextTokens": 77}, {"id": "n"}]}"#)
            await bench.supervisor.rescan()
            #expect(bench.supervisor.backends.map(\.model) == ["m"])
            #expect(backend.state == .ready && backend.detail.contains("its manifest changed"))
            kill(pid, SIGKILL)
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.maxContextTokens == 66)
            _ = try await bench.supervisor.trust("echo")
            await bench.until { backend.state == .ready && backend.maxContextTokens == 77 }
            #expect(bench.supervisor.backends.map(\.model) == ["m", "n"])
        }
    }

    @Test("a policy that has changed waits, and what it holds stays under the earlier one")
    func policy() async throws {
        let policies = PolicyPlace()
        let strict = try PolicyPlace.strict()
        policies.write("own", strict)
        try await withBench(policies: policies.path) { bench in
            try bench.addEcho(manifest: #"{"policy": "own"}"#)
            let backend = try await bench.start()
            await bench.supervisor.rescan()
            let pid = backend.pid
            let rule = #"{"comment": "A session.", "names": ["setsid"], "action": "SCMP_ACT_ALLOW"},"#
            policies.write("own", strict.replacingOccurrences(of: #""syscalls": ["#, with: #""syscalls": ["# + rule))
            await bench.supervisor.rescan()
            #expect(backend.state == .ready && backend.pid == pid)
            #expect(backend.detail.contains("its policy changed"), "\(backend.detail)")
            _ = try await bench.supervisor.trust("echo")
            await bench.until { backend.state == .ready && backend.pid != pid }
        }
    }

    @Test(
        "what changed while no agent ran waits from the start on",
        arguments: [BackendPins.Part.executable, .manifest, .policy])
    func changedBefore(part: BackendPins.Part) async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}]}"#)
            _ = try await bench.start()
            await bench.supervisor.rescan()
        }
        try accept(another: part)
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m"}]}"#)
            try bench.supervisor.start()
            let backend = try #require(bench.supervisor.backends.first)
            await bench.until { backend.state == .failed || backend.state == .untrusted }
            #expect(backend.detail.contains("its \(part) changed: was sha256 000000000000…"), "\(backend.detail)")
            for _ in 0..<2 { await bench.supervisor.rescan() }
            #expect(backend.state == .untrusted && backend.pid == 0)
            #expect(backend.detail.components(separatedBy: "changed").count == 2, "\(backend.detail)")
            #expect(bench.supervisor.models["m"]?.state == .unavailable)
            _ = try await bench.supervisor.trust("echo")
            await bench.until { backend.state == .ready }
        }
    }

    @Test("a backend that was removed stays pinned: another one under its name waits")
    func removed() async throws {
        try await withBench { bench in
            try bench.addEcho()
            let backend = try await bench.start()
            await bench.supervisor.rescan()
            bench.remove("echo")
            await bench.supervisor.rescan()
            await bench.until { backend.state == .stopped }
            try replaceEcho(bench)
            await bench.supervisor.rescan()
            let other = try #require(bench.supervisor.backends.first)
            await bench.until { other.state == .untrusted }
            try bench.addEcho()
            await bench.supervisor.rescan()
            await bench.until { other.state == .ready }
        }
    }

    @Test("a model on demand whose backend has changed is not loaded, and is once its owner trusts it")
    func onDemand() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "load": "demand"}]}"#)
            let backend = try await bench.start(until: .unloaded)
            await bench.supervisor.rescan()
            try replaceEcho(bench)
            await bench.supervisor.rescan()
            #expect(backend.state == .untrusted && bench.supervisor.models["m"]?.state == .unavailable)
            #expect(bench.supervisor.load("m") == .coming && backend.pid == 0)
            _ = try await bench.supervisor.trust("echo")
            #expect(backend.state == .unloaded)
            #expect(bench.supervisor.load("m") == .coming)
            await bench.until { backend.state == .ready }
        }
    }
}
