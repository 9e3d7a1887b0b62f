import BackendIPC
import EventLoop
import Foundation
import LinuxSystem
import TestPlaces
import Testing

@testable import BackendSupervisor

/// The launcher refuses to run as root, as the agent does; so these need an ordinary user.
@Suite("Supervision through the sandbox", .timeLimit(.minutes(2)), .enabled(if: geteuid() != 0))
@IOLoop
struct SandboxedSupervisionTests {
    private func withBench(
        policies: String = Repository.policies, _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(sandboxed: true, policies: policies, adjust)
        try await bench.use(body)
    }

    /// Starts what is in the folder; fails with the supervisor's own words if it does not come up.
    private func start(_ bench: Workbench) async throws -> ManagedBackend {
        try bench.supervisor.start()
        let backend = try #require(bench.supervisor.backends.first)
        await bench.until { backend.state == .ready || backend.state == .failed }
        try #require(backend.state == .ready, "\(backend.detail) \(backend.recentLog)")
        return backend
    }

    @Test("a held backend serves its tokens to the last, with its weights handed over")
    func tokens() async throws {
        try await withBench { bench in
            try bench.write("tiny.bin", "abc")
            try bench.addEcho(manifest: #"{"models": [{"id": "m", "file": "tiny.bin"}]}"#)
            let backend = try await start(bench)
            #expect(backend.tier == "full")
            #expect(backend.layers.contains("seccomp"))
            #expect(backend.policyName == "strict")
            #expect(backend.modelDigest.count == 32)
            let collector = bench.collect()
            _ = backend.begin(request: try request(maxTokens: 200), credit: 200, handler: collector)
            await bench.until { collector.ends == 1 }
            #expect(collector.tokens.count == 200)
            #expect(collector.finish?.outcome == .reason(.length))
        }
    }

    @Test("a crash inside is told with its signal, and the backend comes back")
    func crash() async throws {
        try await withBench { bench in
            try bench.addEcho()
            let backend = try await start(bench)
            let collector = bench.collect()
            _ = backend.begin(request: try request(options: ["crash_at": "3"]), credit: 10, handler: collector)
            await bench.until { collector.ends == 1 && backend.state == .ready }
            #expect(collector.lossReason?.contains("was killed by signal") == true, "\(collector.lossReason ?? "")")
            #expect(backend.restarts == 1)
        }
    }

    @Test("one that hangs inside is killed and started again")
    func hang() async throws {
        try await withBench {
            $0.pingIntervalMilliseconds = 300
        } _: { bench in
            try bench.addEcho()
            let backend = try await start(bench)
            let collector = bench.collect()
            _ = backend.begin(request: try request(options: ["hang_at": "3"]), credit: 10, handler: collector)
            await bench.until { collector.ends == 1 && backend.state == .ready }
            #expect(collector.lossReason?.hasPrefix("the backend echo answered no Ping for 900 ms: it hangs") == true)
        }
    }

    @Test("a stop leaves no launcher and nothing in it")
    func stop() async throws {
        try await withBench { bench in
            for name in ["a", "b", "c"] { try bench.addEcho(name) }
            _ = try await start(bench)
            await bench.until { bench.supervisor.backends.allSatisfy { $0.state == .ready } }
            let launchers = bench.supervisor.backends.map(\.pid)
            let held = launchers.flatMap(descendants)
            #expect(held.count >= 3)
            await bench.supervisor.stop(graceMilliseconds: 1_000)
            #expect(!(launchers + held).contains { isAlive($0) })
        }
    }

    @Test("a policy that does not exist is for the owner")
    func unknownPolicy() async throws {
        try await withBench { bench in
            try bench.addEcho(manifest: #"{"policy": "lax"}"#)
            try bench.supervisor.start()
            let backend = try #require(bench.supervisor.backends.first)
            await bench.until { backend.state == .failed }
            #expect(backend.detail.contains("lax"))
        }
    }

    @Test("a policy that appears is taken, and what crashes meanwhile has the last good one")
    func policyAppears() async throws {
        let policies = PolicyPlace()
        try await withBench(policies: policies.path) { bench in
            try bench.addEcho(manifest: #"{"policy": "own"}"#)
            let backend = try await bench.start(until: .failed)
            #expect(backend.detail.contains("own.json"))
            await bench.supervisor.rescan()
            #expect(backend.state == .failed)
            policies.write("own", try PolicyPlace.strict())
            await bench.supervisor.rescan()
            await bench.until { backend.state == .ready }
            policies.write("own", "{")
            await bench.supervisor.rescan()
            #expect(backend.state == .ready)
            let pid = backend.pid
            kill(pid, SIGKILL)
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(backend.detail.contains("own.json:1"))
            #expect(backend.detail.contains("the earlier one is in force"))
        }
    }

    @Test("what cannot run in the sandbox is refused before it starts")
    func script() async throws {
        try await withBench { bench in
            try bench.addScript("exit 0")
            try bench.supervisor.start()
            let backend = try #require(bench.supervisor.backends.first)
            await bench.until { backend.state == .failed }
            #expect(backend.detail.contains("is a script"))
            #expect(backend.pid == 0)
        }
    }
}

@Suite("Run as root", .timeLimit(.minutes(4)), .enabled(if: geteuid() == 0))
struct RunAsRootTests {
    @Test("the launcher refuses root, and the supervisor says so")
    @IOLoop
    func refused() async throws {
        let bench = try Workbench(sandboxed: true)
        try bench.addEcho()
        let backend = try await bench.start(until: .failed)
        #expect(backend.detail.contains("was not started"))
        #expect(backend.detail.contains("root"), "\(backend.detail)")
        await bench.close()
    }

    /// Root gives up its rights for the suite above, so that it runs wherever tests run.
    @Test(
        "what runs in the sandbox works for an ordinary user",
        arguments: [
            ("SandboxedSupervisionTests", "a held backend serves its tokens to the last, with its weights handed over"),
            (
                "HostileBackendTests",
                "one whose weights are cut short under it is ended by SIGBUS, and its owner reads why"
            ),
            (
                "SandboxedSupervisionTests",
                "a policy that appears is taken, and what crashes meanwhile has the last good one"
            ),
            ("HostileBackendTests", "one that ignores every signal and request is killed once its grace is over"),
            ("ExecutableTrustTests", "the memory that runs can be changed by nobody, not even by the agent"),
        ])
    func ordinaryUser(suite: String, test: String) async throws {
        let folder = TemporaryFolder()
        defer { folder.remove() }
        let log = folder.write("log")
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        let output = try Descriptor.open(log, O_WRONLY)
        let child = try ProcessHandle(
            child: ProcessSpawn.spawn(
                "/usr/bin/setpriv",
                arguments: [
                    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", Built.bundle,
                    "--testing-library", "swift-testing", "--no-parallel", "--filter", suite,
                ],
                environment: ["PATH=/usr/bin:/bin"], descriptors: [null.raw, output.raw, output.raw]))
        let processID = child.processID
        // On a thread of its own: it must not hold one that other tests run on.
        let status = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(returning: (try? ProcessHandle(child: processID))?.waitForExit() ?? .exited(1))
            }
        }
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        if status == .exited(126) || status == .exited(127) {
            print("skipped: an ordinary user cannot run \(Built.bundle): \(text)")
            return
        }
        #expect(status == .exited(0), "\(text.suffix(4_000))")
        #expect(text.contains("\"\(test)\" passed"))
    }
}
