import BackendIPC
import EventLoop
import Foundation
import LaunchPlan
import LinuxSystem
import TestPlaces
import Testing

@testable import BackendSupervisor

/// A chain of agents over one folder, each of which may pass its processes on to the next.
@IOLoop
private final class Agents {
    private(set) var benches: [Workbench]
    private let adjust: (inout SupervisorConfiguration.Limits) -> Void
    private let isSandboxed: Bool

    init(
        sandboxed: Bool = false, _ adjust: @escaping (inout SupervisorConfiguration.Limits) -> Void = { _ in }
    ) throws {
        self.adjust = adjust
        isSandboxed = sandboxed
        benches = []
        try add(Workbench(sandboxed: sandboxed, adjust))
    }

    /// Conditions may depend on free room, too.
    private func add(_ bench: Workbench) {
        bench.supervisor.onAvailable = { [weak bench] _ in bench?.check() }
        benches.append(bench)
    }

    var last: Workbench { benches[benches.count - 1] }
    var backend: ManagedBackend { last.supervisor.backends[0] }

    /// Another agent takes the place of the last one.
    func pass(
        meanwhile: @IOLoop () throws -> Void = {}, before: @IOLoop (Supervisor) -> Void = { _ in }
    ) throws {
        let old = last
        let passed = try old.supervisor.standStill()
        let new = try Workbench(over: benches[0], sandboxed: isSandboxed, adjust)
        add(new)
        before(new.supervisor)
        try meanwhile()
        old.supervisor.letGo()
        try new.supervisor.start(goingOnWith: passed)
    }

    /// Waits until the last one takes requests.
    func untilReady() async {
        let (bench, backend) = (last, backend)
        await bench.until { backend.freeSequences > 0 || backend.state == .failed }
        #expect(backend.state == .ready, "\(backend.detail)")
    }

    /// Runs a request on the last one, and returns what came.
    func run(_ request: [UInt8]) async throws -> Collector {
        let collector = last.collect()
        try #require(backend.begin(request: request, credit: 1_000_000, handler: collector) != nil)
        await last.until { collector.ends == 1 }
        return collector
    }

    /// Ends all of them; then nothing is left of their processes, nor of anything else.
    func use(_ body: @IOLoop (Agents) async throws -> Void) async throws {
        do {
            try await body(self)
        } catch {
            for bench in benches.reversed() { await bench.close() }
            throw error
        }
        for bench in benches.reversed() { await bench.close() }
    }
}

/// Runs a body, after which no process and no descriptor is left of it.
@IOLoop
private func leavingNothing(_ body: @IOLoop () async throws -> Void) async throws {
    let (processes, descriptors) = (Set(descendants(of: getpid())), openDescriptors())
    try await body()
    // Descriptors are closed, and launchers reaped, in the turns of the loop after the end.
    for _ in 0..<2_000 {
        if openDescriptors() <= descriptors, Set(descendants(of: getpid())).isSubset(of: processes) { return }
        await withCheckedContinuation { continuation in
            IOLoop.schedule(afterMilliseconds: 5) { continuation.resume() }
        }
    }
    Issue.record(
        "left: \(Set(descendants(of: getpid())).subtracting(processes)), \(openDescriptors() - descriptors) descriptors"
    )
}

@Suite("Processes that pass from one agent to another", .timeLimit(.minutes(2)))
@IOLoop
struct PassingTests {
    private func withEcho(
        manifest: String? = nil, _ adjust: @escaping (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Agents) async throws -> Void
    ) async throws {
        try await leavingNothing {
            let agents = try Agents(adjust)
            try agents.last.addEcho(manifest: manifest)
            try await agents.use { agents in
                _ = try await agents.last.start()
                try await body(agents)
            }
        }
    }

    private func long(_ tokens: UInt32 = 1_000_000) throws -> [UInt8] { try request(maxTokens: tokens) }

    @Test("an idle one goes on, as the same process, and serves at once")
    func idle() async throws {
        try await withEcho { agents in
            let (old, before) = (agents.backend, try await agents.run(try request(maxTokens: 50)))
            let pid = old.pid
            try agents.pass()
            #expect(old.pid == 0 && old.freeSequences == 0)
            #expect(agents.backend.pid == pid && agents.backend.state == .ready)
            await agents.untilReady()
            let after = try await agents.run(try request(maxTokens: 50))
            #expect(after.tokens == before.tokens && after.text == before.text)
            #expect(agents.backend.pid == pid && agents.backend.restarts == 0)
            #expect(agents.backend.version == old.version && agents.backend.capabilities == old.capabilities)
            #expect(agents.backend.maxContextTokens == old.maxContextTokens && agents.backend.tokens == 100)
            #expect(agents.backend.recentLog == old.recentLog)
        }
    }

    @Test("what runs on it is lost without failure, and ends there before anything new begins")
    func running() async throws {
        try await withEcho { agents in
            let (bench, old) = (agents.last, agents.backend)
            let prompt = try long()
            let collectors = (0..<8).map { _ in
                let collector = bench.collect()
                #expect(old.begin(request: prompt, credit: 100_000, handler: collector) != nil)
                return collector
            }
            await bench.until { collectors.allSatisfy { $0.tokens.count >= 10 } }
            try agents.pass()
            for collector in collectors {
                #expect(collector.ends == 1 && collector.loss?.isFailure == false)
                #expect(collector.lossReason == "the backend echo goes on under another agent")
            }
            await agents.untilReady()
            let whole = try await agents.run(try request(maxTokens: 300))
            #expect(whole.tokens.count == 300 && whole.tokens.starts(with: collectors[0].tokens.prefix(300)))
            #expect(agents.backend.restarts == 0)
        }
    }

    @Test("in the middle of a flood, with a batch in work and more tokens than are read, no byte is taken for another")
    func flood() async throws {
        try await withEcho { agents in
            for _ in 0..<5 {
                let (bench, old) = (agents.last, agents.backend)
                let prompt = try long()
                let collectors = (0..<32).map { _ in
                    let collector = bench.collect()
                    #expect(old.begin(request: prompt, credit: .max, handler: collector) != nil)
                    return collector
                }
                // Within the visit of a batch, so that the rest of it passes over.
                var runs = 0
                collectors[0].onTokens = { _ in
                    runs += 1
                    if runs == 200 { _ = Result { try agents.pass() } }
                }
                await bench.until { collectors.allSatisfy { $0.ends == 1 } }
                await agents.untilReady()
                #expect(agents.backend.restarts == 0, "\(agents.backend.detail)")
            }
            let whole = try await agents.run(try request(maxTokens: 1_000))
            #expect(whole.tokens.count == 1_000)
        }
    }

    @Test("an open question is lost, and an embedding is cancelled and keeps no room")
    func questions() async throws {
        let slow = #"{"models": [{"id": "echo", "options": {"embed_delay_ms": 3600000}}]}"#
        try await withEcho(manifest: slow) { agents in
            let (bench, old) = (agents.last, agents.backend)
            let asked: [UInt8] = [0x12, 3, 0x22, 1, 0x78]
            var losses: [SequenceLoss] = []
            for _ in 0..<8 {
                _ = old.embed(.embed, request: asked, keepAliveSeconds: nil) {
                    if case .failure(let loss) = $0 { losses.append(loss) }
                }
            }
            // Its answer shows that the embeddings have come, too.
            let first = await withCheckedContinuation { continuation in
                old.ask(.count, request: (try? request()) ?? []) { continuation.resume(returning: $0) }
            }
            #expect(first == .success(.count(3)))
            var answer: Result<PromptAnswer, UnansweredQuestion>?
            old.ask(.count, request: try request()) { answer = $0 }
            try agents.pass()
            #expect(losses.count == 8 && losses.allSatisfy { !$0.isFailure })
            #expect(answer == .failure(.lost("the backend echo goes on under another agent")))
            let (new, next) = (agents.last, agents.backend)
            // Asked before it is settled, and answered.
            let count = await withCheckedContinuation { continuation in
                next.ask(.count, request: (try? request()) ?? []) { continuation.resume(returning: $0) }
            }
            #expect(count == .success(.count(3)))
            await new.until { next.freeEmbeddings == 8 }
            #expect(next.restarts == 0)
            #expect(bench.supervisor.backends[0].freeEmbeddings == 0)
        }
    }

    @Test("weights that are open stay open, and their changes are noticed")
    func weights() async throws {
        try await leavingNothing {
            let agents = try Agents()
            try agents.last.write("tiny.bin", "abc")
            try agents.last.addEcho(manifest: #"{"models": [{"id": "m", "file": "tiny.bin"}]}"#)
            try await agents.use { agents in
                let old = try await agents.last.start()
                let (pid, digest) = (old.pid, old.modelDigest)
                try agents.pass()
                await agents.untilReady()
                #expect(agents.backend.pid == pid && agents.backend.modelDigest == digest && digest.count == 32)
                await agents.last.supervisor.rescan()
                #expect(agents.backend.pid == pid)
                // Of another length, so that nothing need be read.
                try agents.last.write("tiny.bin", "abcd")
                await agents.last.supervisor.rescan()
                let (bench, backend) = (agents.last, agents.backend)
                await bench.until { backend.pid != pid && backend.state == .ready }
                #expect(backend.modelDigest != digest)
            }
        }
    }

    @Test("where the other agent does not come up, streams go on without losing a token, and what began meanwhile runs")
    func goOnAlone() async throws {
        try await withEcho {
            $0.pingIntervalMilliseconds = 500
        } _: { agents in
            let (bench, old) = (agents.last, agents.backend)
            let reference = try await agents.run(try request(maxTokens: 20_000))
            let pid = old.pid
            var collectors: [Collector] = []
            @IOLoop func begin() throws {
                let collector = bench.collect()
                #expect(old.begin(request: try request(maxTokens: 20_000), credit: 20_000, handler: collector) != nil)
                collectors.append(collector)
            }
            for _ in 0..<8 { try begin() }
            var stops = 0
            collectors[0].onTokens = { _ in
                stops += 1
                guard stops % 500 == 0, stops < 5_000 else { return }
                guard let passed = try? bench.supervisor.standStill() else { return }
                #expect(passed.count == 1)
                if stops == 2_000 { _ = Result { try begin() } }
                IOLoop.schedule(afterMilliseconds: 1) { bench.supervisor.goOnAlone() }
            }
            await bench.until { collectors.count == 9 && collectors.allSatisfy { $0.ends == 1 } }
            for collector in collectors {
                #expect(collector.finish?.outcome == .reason(.length), "\(collector.lossReason ?? "")")
                #expect(collector.text == reference.text && collector.tokens == reference.tokens)
            }
            #expect(old.pid == pid && old.restarts == 0)
        }
    }

    @Test(
        "while it stands still nothing is restarted and no watchdog fires, and an end that came meanwhile is found after it"
    )
    func standingStill() async throws {
        try await withEcho { agents in
            let (bench, old) = (agents.last, agents.backend)
            let collector = bench.collect()
            _ = old.begin(request: try request(), credit: 0, handler: collector)
            let pid = old.pid
            _ = try bench.supervisor.standStill()
            #expect(throws: SupervisorError.self) { try bench.supervisor.standStill() }
            #expect(bench.supervisor.restart("echo", isNow: true) == 1)
            kill(pid, SIGKILL)
            await bench.supervisor.rescan()
            #expect(old.pid == pid && old.state == .ready && collector.ends == 0)
            bench.supervisor.goOnAlone()
            await bench.until { old.state == .ready && old.pid != pid }
            #expect(collector.ends == 1)
        }
    }

    @Test("one that is loading its model goes on loading it, over any number of agents")
    func loading() async throws {
        try await leavingNothing {
            let agents = try Agents()
            try agents.last.addEcho(
                manifest: #"{"loadSeconds": 60, "models": [{"id": "m", "options": {"load_delay_ms": 1500}}]}"#)
            try await agents.use { agents in
                let backend = try await agents.last.start(until: .loading)
                await agents.last.until { backend.loadFraction ?? 0 > 0 }
                let (pid, fraction) = (backend.pid, backend.loadFraction ?? 0)
                #expect(try agents.last.supervisor.standStill().count == 1)
                agents.last.supervisor.goOnAlone()
                for _ in 0..<3 {
                    try agents.pass()
                    #expect(agents.backend.pid == pid && agents.backend.state == .loading)
                    #expect(agents.backend.loadFraction ?? 0 >= fraction)
                    #expect(agents.backend.maxSequences == 0)
                }
                await agents.untilReady()
                #expect(try await agents.run(try request(maxTokens: 50)).tokens.count == 50)
                #expect(agents.backend.pid == pid && agents.backend.restarts == 0)
                // Once it has loaded its model it passes as any other one.
                try agents.pass()
                await agents.untilReady()
                #expect(agents.backend.pid == pid && agents.backend.maxSequences > 0)
            }
        }
    }

    @Test("one that is loading its model when another agent would run it otherwise is ended")
    func loadsOtherwise() async throws {
        try await leavingNothing {
            let agents = try Agents()
            try agents.last.addEcho(manifest: #"{"models": [{"id": "m", "options": {"load_delay_ms": 3600000}}]}"#)
            try await agents.use { agents in
                let pid = try await agents.last.start(until: .loading).pid
                try agents.pass(meanwhile: { try agents.last.write("echo.json", #"{"models": [{"id": "m"}]}"#) })
                let (bench, next) = (agents.last, agents.backend)
                await bench.until { next.state == .ready && next.pid != pid && next.freeSequences > 0 }
                #expect(!isAlive(pid))
            }
        }
    }

    @Test("one that dies on its way is started anew")
    func diesOnTheWay() async throws {
        try await withEcho { agents in
            let pid = agents.backend.pid
            try agents.pass(meanwhile: { kill(pid, SIGKILL) })
            let (bench, backend) = (agents.last, agents.backend)
            await bench.until { backend.state == .ready && backend.pid != pid && backend.freeSequences > 0 }
            #expect(try await agents.run(try request()).tokens.count == 10)
            #expect(backend.restarts == 1)
        }
    }

    @Test("one whose settings have changed, or whose executable, is ended, and its successor is started after it")
    func changed() async throws {
        for changesManifest in [true, false] {
            try await withEcho(manifest: #"{"models": [{"id": "m"}]}"#) { agents in
                let pid = agents.backend.pid
                let changed = #"{"models": [{"id": "m", "options": {"token_delay_ms": "0"}}]}"#
                var wasAlive = true
                try agents.pass(meanwhile: {
                    if changesManifest {
                        try agents.last.write("echo.json", changed)
                    } else {
                        try agents.last.addEcho()
                    }
                })
                let (bench, backend) = (agents.last, agents.backend)
                bench.supervisor.onChange = { backend in
                    if backend.pid != 0, backend.pid != pid { wasAlive = wasAlive && isAlive(pid) }
                    bench.check()
                }
                await bench.until { backend.state == .ready && backend.pid != pid && backend.freeSequences > 0 }
                #expect(!wasAlive && !isAlive(pid))
                #expect(try await agents.run(try request()).tokens.count == 10)
            }
        }
    }

    @Test("what nobody knows any more, or is not understood, is ended")
    func unknown() async throws {
        try await withEcho { agents in
            let (old, pid) = (agents.last, agents.backend.pid)
            let passed = try old.supervisor.standStill()
            try #require(passed.count == 1)
            let later = PassedBackend(bytes: [0x08, 2] + passed[0].bytes.dropFirst(2), owning: passed[0].take())
            let none = PassedBackend(bytes: [], owning: [])
            old.supervisor.letGo()
            let new = try Workbench(over: old)
            try new.supervisor.start(goingOnWith: [later, none])
            let backend = new.supervisor.backends[0]
            await new.until { backend.state == .ready && backend.pid != pid }
            #expect(!isAlive(pid))
            await new.close()
        }
        try await withEcho { agents in
            let pid = agents.backend.pid
            try agents.pass(meanwhile: { agents.benches[0].remove("echo") })
            #expect(agents.last.supervisor.backends.isEmpty)
            while isAlive(pid) { await Task.yield() }
        }
    }

    @Test("it passes on again and again, even before it has settled, and back")
    func again() async throws {
        try await withEcho { agents in
            let (bench, old, pid) = (agents.last, agents.backend, agents.backend.pid)
            let prompt = try long()
            let collectors = (0..<8).map { _ in
                let collector = bench.collect()
                #expect(old.begin(request: prompt, credit: .max, handler: collector) != nil)
                return collector
            }
            await bench.until { collectors.allSatisfy { $0.tokens.count >= 10 } }
            for _ in 0..<5 { try agents.pass() }
            await agents.untilReady()
            for _ in 0..<3 {
                let whole = try await agents.run(try request(maxTokens: 100))
                #expect(whole.tokens.count == 100)
                try agents.pass()
                await agents.untilReady()
            }
            #expect(agents.backend.pid == pid && agents.backend.restarts == 0)
        }
    }

    @Test("the new agent's watchdog ends one that hangs, and its owner can restart one")
    func killed() async throws {
        try await withEcho {
            $0.pingIntervalMilliseconds = 100
        } _: { agents in
            let pid = agents.backend.pid
            try agents.pass()
            await agents.untilReady()
            let (bench, backend) = (agents.last, agents.backend)
            let collector = bench.collect()
            _ = backend.begin(request: try request(options: ["hang_at": "3"]), credit: 10, handler: collector)
            await bench.until { collector.ends == 1 && backend.state == .ready }
            #expect(collector.lossReason?.contains("answered no Ping") == true)
            #expect(backend.pid != pid && !isAlive(pid))
        }
        try await withEcho { agents in
            let pid = agents.backend.pid
            try agents.pass()
            await agents.untilReady()
            let (bench, backend) = (agents.last, agents.backend)
            #expect(bench.supervisor.restart("echo", isNow: true) == 1)
            await bench.until { backend.state == .ready && backend.pid != pid }
        }
    }

    @Test("one that is being launched is ended by the old agent, and started by the new one")
    func launching() async throws {
        try await leavingNothing {
            let agents = try Agents()
            try agents.last.addEcho()
            try await agents.use { agents in
                try agents.last.supervisor.start()
                let (bench, old) = (agents.last, agents.backend)
                #expect(try agents.last.supervisor.standStill().isEmpty)
                agents.last.supervisor.goOnAlone()
                try agents.pass()
                #expect(old.state != .failed && old.state != .stopped)
                await agents.untilReady()
                await bench.until { old.pid == 0 }
                #expect(agents.backend.restarts == 0)
            }
        }
    }
}

@Suite("Processes that outlive a crash of their agent", .timeLimit(.minutes(2)))
@IOLoop
struct CrashPassingTests {
    /// What an agent has told of its processes, for the next one.
    @IOLoop
    private final class Holder {
        var kept: [UInt64: PassedBackend] = [:]

        init(of supervisor: Supervisor) {
            supervisor.onPassable = { [weak self] in self?.kept[$0] = $1 }
            supervisor.onGone = { [weak self] in self?.kept[$0] = nil }
        }

        func take() -> [PassedBackend] {
            defer { kept = [:] }
            return kept.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    @Test("what was told when it became ready is enough to go on with it from any moment on, and its end is told")
    func anyMoment() async throws {
        try await leavingNothing {
            var bench = try Workbench()
            var all = [bench]
            var holder = Holder(of: bench.supervisor)
            try bench.addEcho()
            var backend = try await bench.start()
            let pid = backend.pid
            #expect(holder.kept.count == 1)
            for round in 0..<6 {
                let request = try request(maxTokens: 1_000_000)
                let collectors = (0..<16).map { _ in
                    let collector = bench.collect()
                    #expect(backend.begin(request: request, credit: .max, handler: collector) != nil)
                    return collector
                }
                // An EmbedRequest with the text "x".
                _ = backend.embed(.embed, request: [0x12, 3, 0x22, 1, 0x78], keepAliveSeconds: nil) { _ in }
                await bench.until { collectors.allSatisfy { $0.tokens.count >= 10 * (round + 1) } }
                // The turn of the loop is over that it is in now: nothing is being read.
                await withCheckedContinuation { continuation in
                    IOLoop.schedule(afterMilliseconds: 1) { continuation.resume() }
                }
                // The old one does nothing more, and nobody asks it for anything.
                _ = try bench.supervisor.standStill()
                let passed = holder.take()
                let new = try Workbench(over: all[0])
                new.supervisor.onAvailable = { [weak new] _ in new?.check() }
                holder = Holder(of: new.supervisor)
                try new.supervisor.start(goingOnWith: passed)
                bench.supervisor.letGo()
                (bench, backend) = (new, new.supervisor.backends[0])
                all.append(new)
                #expect(holder.kept.count == 1)
                await bench.until { backend.freeSequences > 0 && backend.freeEmbeddings == 8 }
                let whole = bench.collect()
                let short = try BackendSupervisorIntegrationTests.request(maxTokens: 100)
                #expect(backend.begin(request: short, credit: 100, handler: whole) != nil)
                await bench.until { whole.ends == 1 }
                #expect(whole.tokens.count == 100)
                #expect(backend.pid == pid && backend.restarts == 0, "\(backend.detail)")
            }
            kill(pid, SIGKILL)
            await bench.until { backend.state == .ready && backend.pid != pid }
            #expect(holder.kept.count == 1)
            await bench.supervisor.stop(graceMilliseconds: 0)
            #expect(holder.kept.isEmpty)
            for bench in all.reversed() { await bench.close() }
        }
    }

    @Test("where the crash came in the middle of a message, the process is started anew")
    func middle() async throws {
        try await leavingNothing {
            let bench = try Workbench()
            let holder = Holder(of: bench.supervisor)
            try bench.addEcho()
            let backend = try await bench.start()
            let pid = backend.pid
            let collector = bench.collect()
            var passed: [PassedBackend] = []
            collector.onTokens = { _ in
                guard passed.isEmpty, (try? bench.supervisor.standStill()) != nil else { return }
                passed = holder.take()
                // As it is now, while its tokens are being looked at.
                let memory = passed[0].descriptors[PassedBackend.Place.allCases.count]
                #expect(SharedFraming.left(in: Descriptor(owning: dup(memory))) == nil)
            }
            _ = backend.begin(request: try request(maxTokens: 100_000), credit: .max, handler: collector)
            await bench.until { !passed.isEmpty }
            // The rest of its life was not lived.
            let mark: [UInt32] = [1, 1]
            #expect(pwrite(passed[0].descriptors[PassedBackend.Place.allCases.count], mark, 8, 0) == 8)
            let new = try Workbench(over: bench)
            try new.supervisor.start(goingOnWith: passed)
            bench.supervisor.letGo()
            let next = new.supervisor.backends[0]
            await new.until { next.state == .ready && next.pid != pid }
            await new.close()
            await bench.close()
        }
    }
}

/// The launcher refuses to run as root, as the agent does; so these need an ordinary user.
@Suite("Held processes that pass from one agent to another", .timeLimit(.minutes(2)), .enabled(if: geteuid() != 0))
@IOLoop
struct PassingHeldTests {
    private func withEcho(
        _ adjust: @escaping (inout SupervisorConfiguration.Limits) -> Void = { _ in },
        _ body: @IOLoop (Agents) async throws -> Void
    ) async throws {
        try await leavingNothing {
            let agents = try Agents(sandboxed: true, adjust)
            try agents.last.addEcho()
            try await agents.use { agents in
                let backend = try await agents.last.start()
                try #require(backend.state == .ready)
                try await body(agents)
            }
        }
    }

    @Test("it goes on in its sandbox, and its end is told as its keeper reports it")
    func end() async throws {
        try await withEcho { agents in
            let pid = agents.backend.pid
            try agents.pass()
            try agents.pass()
            await agents.untilReady()
            #expect(
                agents.backend.pid == pid && agents.backend.layers == agents.benches[0].supervisor.backends[0].layers)
            let (bench, backend) = (agents.last, agents.backend)
            let collector = bench.collect()
            _ = backend.begin(request: try request(options: ["crash_at": "3"]), credit: 10, handler: collector)
            await bench.until { collector.ends == 1 && backend.state == .ready }
            #expect(collector.lossReason?.contains("was killed by signal") == true, "\(collector.lossReason ?? "")")
            #expect(collector.lossReason?.contains("(SIGKILL)") == false, "\(collector.lossReason ?? "")")
            #expect(collector.loss?.isFailure == true)
            #expect(backend.restarts == 1 && !isAlive(pid))
        }
    }

    @Test("one that its owner has frozen stays frozen under the new agent, and goes on when it is told to")
    func frozen() async throws {
        try await withEcho { agents in
            let (bench, old) = (agents.last, agents.backend)
            let pid = old.pid
            let collector = bench.collect()
            _ = old.begin(request: try request(maxTokens: 1_000_000), credit: .max, handler: collector)
            await bench.until { collector.tokens.count >= 10 }
            bench.supervisor.take(.pause(unloading: false))
            await bench.supervisor.whenStill()
            try agents.pass(before: { $0.take(.pause(unloading: false)) })
            let (new, backend) = (agents.last, agents.backend)
            #expect(backend.state == .paused && backend.isFrozen && backend.freeSequences == 0)
            await new.supervisor.whenStill()
            // Once more, still frozen.
            try agents.pass(before: { $0.take(.pause(unloading: false)) })
            agents.last.supervisor.take(.resume)
            await agents.untilReady()
            #expect(try await agents.run(try request(maxTokens: 50)).tokens.count == 50)
            #expect(agents.backend.pid == pid && agents.backend.restarts == 0)
            _ = backend
        }
    }

    @Test("one that was frozen for want of an agent goes on under the next one")
    func held() async throws {
        try await leavingNothing {
            let bench = try Workbench(sandboxed: true)
            var told: [PassedBackend] = []
            bench.supervisor.onPassable = { told.append($1) }
            try bench.addEcho()
            let backend = try await bench.start()
            let pid = backend.pid
            let collector = bench.collect()
            _ = backend.begin(request: try request(maxTokens: 1_000_000), credit: .max, handler: collector)
            await bench.until { collector.tokens.count >= 10 }
            await withCheckedContinuation { continuation in
                IOLoop.schedule(afterMilliseconds: 1) { continuation.resume() }
            }
            _ = try bench.supervisor.standStill()
            try #require(!told.isEmpty)
            let last = told.removeLast()
            let descriptors = last.take()
            #expect(
                try Socket.sendDatagram(
                    descriptors[PassedBackend.Place.keeper.rawValue], KeeperCommand.freeze.encoded(), waits: true))
            let new = try Workbench(over: bench, sandboxed: true)
            new.supervisor.onAvailable = { [weak new] _ in new?.check() }
            told = []
            var (keys, gone): (Set<UInt64>, [UInt64]) = ([], [])
            new.supervisor.onPassable = { key, _ in keys.insert(key) }
            new.supervisor.onGone = { gone.append($0) }
            try new.supervisor.start(goingOnWith: [
                PassedBackend(bytes: last.bytes, owning: descriptors, heldAs: 7)
            ])
            // In the place of what its holder was given of it.
            #expect(keys == [7])
            bench.supervisor.letGo()
            let next = new.supervisor.backends[0]
            await new.until { next.freeSequences > 0 || next.pid != pid }
            let whole = new.collect()
            _ = next.begin(request: try request(maxTokens: 50), credit: 50, handler: whole)
            await new.until { whole.ends == 1 }
            #expect(whole.tokens.count == 50 && next.pid == pid && next.restarts == 0, "\(next.detail)")
            #expect(keys == [7] && gone.isEmpty)
            await new.close()
            #expect(gone == [7])
            await bench.close()
        }
    }

    @Test("in every moment of being frozen and thawed it passes on, to an agent that wants it frozen or not")
    func freezing() async throws {
        try await withEcho { agents in
            let pid = agents.backend.pid
            for round in 0..<8 {
                let bench = agents.last
                await agents.untilReady()
                bench.supervisor.take(.pause(unloading: false))
                if round & 1 != 0 { await bench.supervisor.whenStill() }
                if round & 2 != 0 { bench.supervisor.take(.resume) }
                try agents.pass(before: { if round & 4 != 0 { $0.take(.pause(unloading: false)) } })
                await agents.last.supervisor.whenStill()
                #expect(agents.backend.isFrozen == (round & 4 != 0))
                agents.last.supervisor.take(.resume)
            }
            await agents.untilReady()
            #expect(try await agents.run(try request(maxTokens: 50)).tokens.count == 50)
            #expect(agents.backend.pid == pid && agents.backend.restarts == 0)
        }
    }
}
