import Foundation
import Polling
import Testing

/// A backend in a delegated control group. Only root can delegate one; limits need a kernel that offers the controllers in a
/// cgroup v2 tree. Elsewhere there is nothing to try.
@Suite(.serialized) struct ControlGroupTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    private func read(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .newlines)
    }

    private func write(_ text: String, _ path: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.write(contentsOf: Data(text.utf8))
    }

    /// Makes a group that is delegated to the ordinary user.
    private func delegate(below root: String) throws -> String {
        let group = "\(root)/hearth-test-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: group, withIntermediateDirectories: false)
        for path in [group, group + "/cgroup.procs", group + "/cgroup.subtree_control", group + "/cgroup.threads"] {
            #expect(chown(path, 65534, 65534) == 0)
        }
        return group
    }

    /// What has a program begin as that user in that group.
    private func within(_ group: String) -> [String] {
        [
            "sh", "-c",
            "echo 0 > \(group)/cgroup.procs && exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"", "sh",
        ]
    }

    /// The group of the one backend and its launcher.
    private func backendGroup(in group: String) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: group)
        return try "\(group)/" + #require(names.first { $0.hasPrefix("backend-") })
    }

    /// Once the agent was killed.
    private func expectEmpty(_ folders: [String]) throws {
        for folder in folders {
            let isEmpty = try eventuallyBlocking { try !read(folder + "/cgroup.events").contains("populated 1") }
            #expect(isEmpty, "\(folder) still has processes")
            #expect(rmdir(folder) == 0)
        }
    }

    private func processes(_ group: String) throws -> Int {
        try read(group + "/cgroup.procs").split(separator: "\n").count
    }

    @Test(
        "its processes are in a group of their own with its limits, and the group goes with it",
        .enabled(if: ControlGroupOffer.found != nil, "no cgroup v2 controllers, or not root"))
    func limits() throws {
        let (root, controllers) = try #require(ControlGroupOffer.found)
        for controller in controllers { try write("+\(controller)", root + "/cgroup.subtree_control") }
        let group = try delegate(below: root)
        let driver = try stage.driver(
            [
                "hold", "1", "--control-groups", controllers.joined(separator: ","), "--threads", "2", "--memory", "64",
                stage.probe, "hang",
            ], asRoot: true, within: within(group))
        #expect(try driver.read(toLine: "held") != nil)
        let backend = try backendGroup(in: group)
        #expect(try processes(group + "/agent") == 1)
        #expect(try processes(backend) == 2, "the launcher's")
        #expect(try processes(backend + "/backend") == 1)
        if controllers.contains("memory") { #expect(try read(backend + "/memory.max") == "\(64 << 20)") }
        if controllers.contains("pids") { #expect(try read(backend + "/pids.max") == "12") }
        if controllers.contains("cpu") { #expect(try read(backend + "/cpu.max") == "200000 100000") }
        driver.kill()
        try expectEmpty([backend + "/backend", backend, group + "/agent", group])
    }

    @Test(
        "freezing stops the backend alone, by the kernel's freezer; nothing of it is left when its agent dies then",
        .enabled(if: ControlGroupOffer.root != nil, "no cgroup v2 tree, or not root"), arguments: ["full", "reduced"])
    func freeze(tier: String) throws {
        let group = try delegate(below: #require(ControlGroupOffer.root))
        let agent = try stage.driver(
            ["keep", "--control-groups", "none", "--tier", tier, stage.probe, "spin", "1"], asRoot: true,
            within: within(group))
        #expect(try agent.nextReport() == "started")
        let launchers = try backendGroup(in: group)
        let backend = launchers + "/backend"
        #expect(try processes(launchers) == (tier == "full" ? 2 : 1))
        #expect(try processes(backend) == 1)
        func isFrozen(_ group: String) throws -> Bool { try read(group + "/cgroup.events").contains("frozen 1") }
        for _ in 0..<3 {
            #expect(try !isFrozen(backend))
            try agent.write("freeze")
            #expect(try agent.nextReport() == "frozen")
            #expect(try isFrozen(backend))
            #expect(try !isFrozen(launchers))
            try agent.write("thaw")
            #expect(try agent.nextReport() == "thawed")
            let isThawed = try eventuallyBlocking { try !isFrozen(backend) }
            #expect(isThawed)
        }
        try agent.write("freeze")
        #expect(try agent.nextReport() == "frozen")
        agent.kill()
        try expectEmpty([backend, launchers, group + "/agent", group])
    }

    @Test(
        "a frozen one can be killed", .enabled(if: ControlGroupOffer.root != nil, "no cgroup v2 tree, or not root"),
        arguments: ["full", "reduced"])
    func killFrozen(tier: String) throws {
        let group = try delegate(below: #require(ControlGroupOffer.root))
        let agent = try stage.driver(
            ["keep", "--control-groups", "none", "--tier", tier, stage.probe, "spin", "1"], asRoot: true,
            within: within(group))
        try agent.write("freeze")
        #expect(try [agent.nextReport(), agent.nextReport()] == ["started", "frozen"])
        let launchers = try backendGroup(in: group)
        try agent.write("kill")
        #expect(try agent.lastReports() == ["gone"])
        #expect(agent.waitForExit() == 128 + 9)
        // The group goes with the value that held the process.
        let isGone = eventuallyBlocking {
            rmdir(launchers + "/backend")
            return rmdir(launchers) == 0 || errno == ENOENT
        }
        #expect(isGone)
        try expectEmpty([group + "/agent", group])
    }

    @Test(
        "where no group was delegated the launch goes on without one, and no group is made",
        .enabled(if: ControlGroupOffer.found != nil, "no cgroup v2 controllers, or not root"))
    func notDelegated() throws {
        let (root, controllers) = try #require(ControlGroupOffer.found)
        // The root of the tree is nobody's but root's.
        let outcome = try stage.run(
            ["launch", "--control-groups", controllers.joined(separator: ","), stage.probe, "exit", "0"])
        #expect(outcome.status == 0)
        #expect(!FileManager.default.fileExists(atPath: root + "/agent"))
    }
}

/// What this machine's cgroup v2 tree offers to a test.
private enum ControlGroupOffer {
    /// The root of the tree.
    static let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].first { root in
        Stage.isRoot && FileManager.default.fileExists(atPath: root + "/cgroup.controllers")
    }

    /// And which of the controllers it has, if any.
    static let found: (root: String, controllers: [String])? = {
        guard let root, let text = try? String(contentsOfFile: root + "/cgroup.controllers", encoding: .utf8) else {
            return nil
        }
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        let controllers = ["memory", "cpu", "pids"].filter(words.contains)
        return controllers.isEmpty ? nil : (root, controllers)
    }()
}
