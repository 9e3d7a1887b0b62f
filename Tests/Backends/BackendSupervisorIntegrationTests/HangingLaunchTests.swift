import EventLoop
import Foundation
import LinuxSystem
import Polling
import SandboxLaunch
import Synchronization
import Testing

@testable import BackendSupervisor

/// Launches that hang as on a disk that does not answer: nobody else waits for them.
@Suite("Hanging launches", .timeLimit(.minutes(1)))
@IOLoop
struct HangingLaunchTests {
    private func withBench(
        _ launching: HangingStarter, _ adjust: (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Workbench) async throws -> Void
    ) async throws {
        let bench = try Workbench(starter: launching, adjust)
        do {
            try await body(bench)
        } catch {
            launching.letGo()
            await bench.close()
            throw error
        }
        launching.letGo()
        await bench.close()
    }

    @Test("more of them than a pool has threads hold up neither another backend nor the stop of all")
    func others() async throws {
        let launching = HangingStarter()
        try await withBench(launching) {
            $0.backendsMax = 100
            $0.exitMilliseconds = 200
        } _: { bench in
            let names = (1...70).map { "hung\($0)" }
            for name in names { try bench.addScript("exec sleep 1000", as: name) }
            try bench.addEcho("works")
            try bench.supervisor.start()
            let works = try #require(bench.supervisor.backend(model: "works"))
            await bench.until { works.state == .ready }
            #expect(try await eventually { launching.hanging == names.count }, "they do hang")
            #expect(bench.supervisor.backends.filter { $0.state == .starting }.count == names.count)
            await bench.supervisor.stop(graceMilliseconds: 60_000)
            #expect(bench.supervisor.backends.allSatisfy { $0.state == .stopped && $0.pid == 0 })
            #expect(launching.hanging == names.count, "it was not they that ended the wait")
        }
    }

    @Test("what comes of one that nobody waits for is ended, and its process reaped")
    func late() async throws {
        let launching = HangingStarter()
        try await withBench(launching) {
            $0.exitMilliseconds = 100
        } _: { bench in
            try bench.addScript("exec sleep 1000", as: "hung")
            _ = try await bench.start(until: .starting)
            #expect(try await eventually { launching.hanging == 1 })
            await bench.supervisor.stop(graceMilliseconds: 60_000)
            launching.letGo()
            #expect(try await eventually { launching.launched.count == 1 })
            let pid = try #require(launching.launched.first)
            // Not even a zombie, to which signal 0 could still be sent.
            #expect(try await eventually { kill(pid, 0) != 0 && errno == ESRCH })
        }
    }

    @Test("one that gets no further is told of; the same is not begun beside it, and its end starts the backend")
    func again() async throws {
        let launching = HangingStarter()
        try await withBench(launching) {
            $0.launchMilliseconds = 100
            $0.backoffFirstMilliseconds = 1
        } _: { bench in
            try bench.addEcho("hung")
            let backend = try await bench.start(until: .backingOff)
            await bench.until { backend.detail.contains("an earlier start still waits for the disk") }
            #expect(launching.hanging == 1)
            launching.letGo()
            await bench.until { backend.state == .ready }
            #expect(launching.launched.count == 2)
        }
    }

    @Test("a replacement does not wait for it")
    func replacement() async throws {
        let launching = HangingStarter()
        try await withBench(launching) {
            $0.exitMilliseconds = 100
        } _: { bench in
            try bench.addEcho("hung")
            let backend = try await bench.start(until: .starting)
            #expect(try await eventually { launching.hanging == 1 })
            launching.spare("hung")
            try bench.addEcho("hung", manifest: #"{"models": [{"id": "hung", "contextTokens": 77}]}"#)
            await bench.supervisor.rescan()
            await bench.until { backend.state == .ready }
            #expect(backend.maxContextTokens == 77)
            #expect(launching.hanging == 1)
        }
    }
}

/// Starts what it is asked for without a sandbox; those called "hung..." not before it is told to.
private final class HangingStarter: BackendStarter {
    private struct State {
        var isOpen = false
        var spared: Set<String> = []
        var hanging = 0
        var launched: [CInt] = []
    }

    private let state = Mutex(State())
    private let gate = NSCondition()

    var hanging: Int { state.withLock { $0.hanging } }
    /// The processes that came of launches that had hung, or were not to hang any more.
    var launched: [CInt] { state.withLock { $0.launched } }

    /// From here on nothing hangs.
    func letGo() {
        gate.lock()
        state.withLock { $0.isOpen = true }
        gate.broadcast()
        gate.unlock()
    }

    /// The next launches of this name do not hang.
    func spare(_ name: String) { state.withLock { _ = $0.spared.insert(name) } }

    func launch(_ definition: BackendDefinition, weights: ModelWeights?) throws -> SandboxedProcess {
        let hangs = definition.name.hasPrefix("hung")
        if hangs, !state.withLock({ $0.spared.contains(definition.name) }) { waitForGate() }
        let process = try PlainStarter().launch(definition, weights: weights)
        let pid = process.processID
        if hangs { state.withLock { $0.launched.append(pid) } }
        return process
    }

    private func waitForGate() {
        gate.lock()
        state.withLock { $0.hanging += 1 }
        while !state.withLock({ $0.isOpen }) { gate.wait() }
        state.withLock { $0.hanging -= 1 }
        gate.unlock()
    }
}
