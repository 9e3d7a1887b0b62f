import Foundation
import LinuxSystem
import Polling
import SandboxPolicy
import Testing

/// What a keeper tells the agent, and what it does for it.
@Suite(.serialized) struct KeeperIntegrationTests {
    private let stage: Stage
    private let token = "token-\(UUID().uuidString)"

    init() throws { stage = try Stage() }

    private func keep(_ options: [String] = [], _ words: [String], within: [String] = []) throws -> RunningProgram {
        try stage.driver(
            ["keep"] + options + [stage.probe] + words + [token], asRoot: !within.isEmpty, within: within)
    }

    /// All reports of a run.
    private func reports(_ options: [String] = [], _ words: [String]) throws -> [String] {
        let agent = try keep(options, words)
        defer { _ = agent.waitForExit() }
        return try agent.lastReports()
    }

    // Its reports.

    @Test("a backend's start and end are told as they are, also where its exit status could be the launcher's")
    func ends() throws {
        for tier in ["full", "reduced"] {
            for code in [0, 1, 124, 125, 137, 255] {
                #expect(try reports(["--tier", tier], ["exit", "\(code)"]) == ["started", "exited \(code)", "gone"])
            }
            // The other policies let a backend signal process 2 alone, which in tier reduced it is not.
            for signal in [6, 9, 11, 15] {
                let told = try reports(["--tier", tier, "--policy", "permissive"], ["signal", "\(signal)"])
                #expect(told == ["started", "killed \(signal)", "gone"])
            }
        }
    }

    @Test("a launch that fails says which layer, and nothing started")
    func failure() throws {
        let noDevice = try reports(["--device", "/dev/shm"], ["exit", "0"])
        #expect(noDevice.contains { $0.hasPrefix("failed: empty-root: ") && $0.contains("no character device") })
        #expect(!noDevice.contains("started"))
    }

    @Test("what cannot be executed was not started, though its exec was let pass", arguments: ["full", "reduced"])
    func noExecution(tier: String) throws {
        // Without a single program header there is nothing to load (elf(5), e_phnum).
        var bytes = try Data(contentsOf: URL(fileURLWithPath: stage.probe))
        (bytes[56], bytes[57]) = (0, 0)
        let hollow = "\(stage.folder)/hollow"
        try bytes.write(to: URL(fileURLWithPath: hollow))
        try stage.own(hollow)
        let agent = try stage.driver(["keep", "--tier", tier, hollow, token])
        let told = try agent.readToEnd()
        _ = agent.waitForExit()
        #expect(told.contains("Exec format error"), "\(told)")
        #expect(!told.contains("started"), "\(told)")
    }

    @Test("denied calls are told between start and end")
    func denied() throws {
        let agent = try keep([], ["act", "connect-ipv4", "tcp4=9"])
        let told = try agent.readToEnd().split(separator: "\n")
        _ = agent.waitForExit()
        #expect(told.first == "started")
        #expect(told.contains("denied \(SyscallNames.number(of: "socket") ?? 0)"), "\(told)")
        #expect(told.suffix(2) == ["exited 1", "gone"])
    }

    @Test("when the keeper is killed, its launcher says that the backend was")
    func keeperKilled() throws {
        let agent = try keep([], ["hang"])
        #expect(try agent.nextReport() == "started")
        let keeper = try #require(stage.parent(of: backends(agent)[0]))
        Foundation.kill(keeper, SIGKILL)
        #expect(try agent.lastReports() == ["killed 9", "gone"])
        _ = agent.waitForExit()
    }

    // Freezing.

    /// The processes of the backend.
    private func backends(_ agent: RunningProgram) throws -> [Int32] {
        let found = stage.processes(token: token, besides: agent).filter {
            stage.words(of: $0).first == "sandbox-probe"
        }
        return try #require(found.isEmpty ? nil : found)
    }

    /// The states of all threads (proc_pid_stat(5)).
    private func states(_ processes: [Int32]) throws -> Set<Character> {
        var states: Set<Character> = []
        for process in processes {
            for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task") {
                let stat = try String(contentsOfFile: "/proc/\(process)/task/\(thread)/stat", encoding: .utf8)
                let end = try #require(stat.range(of: ") ", options: .backwards))
                states.insert(stat[end.upperBound])
            }
        }
        return states
    }

    private func expectStops(_ options: [String], processes: Int) throws {
        let agent = try keep(options, ["spin", "\(processes)"])
        #expect(try agent.nextReport() == "started")
        let all = try eventuallyBlocking { try backends(agent).count == processes }
        #expect(all)
        let family = try backends(agent).sorted()
        let computes = try eventuallyBlocking { try states(family) == ["R"] }
        #expect(computes)
        for _ in 0..<3 {
            try agent.write("freeze")
            #expect(try agent.nextReport() == "frozen")
            // Those beside the first one were stopped in the same moment, and may be a moment on their way.
            let stands = try eventuallyBlocking { try states(family) == ["T"] }
            #expect(stands)
            try agent.write("thaw")
            #expect(try agent.nextReport() == "thawed")
            let goesOn = try eventuallyBlocking { try states(family) == ["R"] }
            #expect(goesOn)
        }
        try agent.write("freeze")
        #expect(try agent.nextReport() == "frozen")
        try agent.write("kill")
        #expect(try agent.lastReports() == ["gone"])
        #expect(agent.waitForExit() == 128 + 9)
        // In tier reduced nothing but the backend's first process ends with its launcher, frozen or not.
        if options.contains("reduced") { for process in family.dropFirst() { Foundation.kill(process, SIGKILL) } }
        let isGone = eventuallyBlocking { stage.processes(token: token).isEmpty }
        #expect(isGone)
    }

    @Test("without a control group, freezing stops every thread until it is thawed", arguments: ["full", "reduced"])
    func freeze(tier: String) throws { try expectStops(["--tier", tier], processes: 1) }

    @Test("and every process, where a policy lets there be several", arguments: ["full", "reduced"])
    func freezeFamily(tier: String) throws {
        try expectStops(["--tier", tier, "--policy", "permissive"], processes: 4)
    }

    @Test("a frozen backend answers nothing, and everything once it is thawed")
    func answers() throws {
        let agent = try keep([], ["echo"])
        #expect(try agent.nextReport() == "started")
        try agent.write("echo before")
        #expect(try agent.nextReport() == "echoed before")
        try agent.write("freeze")
        #expect(try agent.nextReport() == "frozen")
        // What is asked twice is answered once; the thaw comes first, and then the answer.
        try agent.write("freeze\nthaw\necho after")
        #expect(try Set([agent.nextReport(), agent.nextReport()]) == ["thawed", "echoed after"])
        agent.kill()
    }

    @Test("one that is asked to freeze before it runs is frozen once it does", arguments: ["full", "reduced"])
    func freezeEarly(tier: String) throws {
        for _ in 0..<5 {
            let agent = try keep(["--tier", tier], ["spin", "1"])
            try agent.write("freeze")
            #expect(try [agent.nextReport(), agent.nextReport()] == ["started", "frozen"])
            #expect(try states(backends(agent)) == ["T"])
            agent.kill()
        }
    }

    @Test("an agent that is killed leaves no frozen backend", arguments: ["full", "reduced"])
    func agentKilledWhileFrozen(tier: String) throws {
        let agent = try keep(["--tier", tier], ["spin", "1"])
        try agent.write("freeze")
        #expect(try [agent.nextReport(), agent.nextReport()] == ["started", "frozen"])
        agent.kill()
        let isGone = eventuallyBlocking { stage.processes(token: token).isEmpty }
        #expect(isGone)
    }

    @Test("a process of the launcher that is killed takes the frozen backend with it", arguments: ["full", "reduced"])
    func launcherKilledWhileFrozen(tier: String) throws {
        for victim in 0..<(tier == "full" ? 2 : 1) {
            let agent = try keep(["--tier", tier], ["spin", "1"])
            try agent.write("freeze")
            #expect(try [agent.nextReport(), agent.nextReport()] == ["started", "frozen"])
            Foundation.kill(stage.processes(token: token, besides: agent).sorted()[victim], SIGKILL)
            let isGone = eventuallyBlocking { stage.processes(token: token, besides: agent).isEmpty }
            #expect(isGone)
            _ = try agent.readToEnd()
            _ = agent.waitForExit()
        }
    }

    // Who holds the socket, and who may say what on it.

    @Test(
        "the launcher's processes have the socket, the backend does not",
        .enabled(if: Stage.isRoot, "needs root to look"))
    func socketStaysOut() throws {
        for tier in ["full", "reduced"] {
            let agent = try keep(["--tier", tier], ["hang"])
            #expect(try agent.nextReport() == "started")
            let backend = try backends(agent)[0]
            var launchers = stage.processes(token: token, besides: agent).filter { $0 != backend }
            launchers.sort()
            #expect(launchers.count == (tier == "full" ? 2 : 1))
            let theirs = try launchers.map { try sockets(of: $0) }
            // The control: all that they have but their standard error is the agent's socket, and it is the same one.
            #expect(theirs.allSatisfy { $0.count == 1 && $0 == theirs[0] }, "\(theirs)")
            #expect(try sockets(of: backend).count == 1, "its own to the agent")
            #expect(try sockets(of: backend).isDisjoint(with: theirs[0]))
            agent.kill()
        }
    }

    private func sockets(of process: Int32) throws -> Set<String> {
        let folder = "/proc/\(process)/fd"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return Set(
            names.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)") }
                .filter { $0.hasPrefix("socket:") })
    }

    @Test(
        "what no agent asks for ends the backend, frozen or not, and is told",
        arguments: ["", "00", "03", "0101", String(repeating: "01", count: 4_200)], ["full", "reduced"])
    func garbage(hexadecimal: String, tier: String) throws {
        for isFrozen in [false, true] {
            let agent = try keep(["--tier", tier], ["spin", "1"])
            #expect(try agent.nextReport() == "started")
            if isFrozen {
                try agent.write("freeze")
                #expect(try agent.nextReport() == "frozen")
            }
            try agent.write("send \(hexadecimal)")
            let told = try agent.lastReports()
            #expect(told.first?.hasPrefix("failed: the agent asked for what no agent asks for") == true, "\(told)")
            #expect(agent.waitForExit() == 125)
            let isGone = eventuallyBlocking { stage.processes(token: token).isEmpty }
            #expect(isGone)
        }
    }
}
