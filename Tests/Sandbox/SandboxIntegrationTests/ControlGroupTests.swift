import Foundation
import Polling
import Testing

/// A backend in a delegated control group. Only root can delegate one, and only where the kernel offers the controllers in a
/// cgroup v2 tree; elsewhere there is nothing to try.
@Suite(.serialized, .enabled(if: ControlGroupOffer.found != nil, "no cgroup v2 controllers, or not root"))
struct ControlGroupTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    private func read(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .newlines)
    }

    private func write(_ text: String, _ path: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.write(contentsOf: Data(text.utf8))
    }

    @Test("its processes are in a group of their own with its limits, and the group goes with it")
    func limits() throws {
        let (root, controllers) = try #require(ControlGroupOffer.found)
        for controller in controllers { try write("+\(controller)", root + "/cgroup.subtree_control") }
        let group = "\(root)/hearth-test-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: group, withIntermediateDirectories: false)
        for path in [group, group + "/cgroup.procs", group + "/cgroup.subtree_control", group + "/cgroup.threads"] {
            #expect(chown(path, 65534, 65534) == 0)
        }
        let within = [
            "sh", "-c",
            "echo 0 > \(group)/cgroup.procs && exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"", "sh",
        ]
        let driver = try stage.driver(
            [
                "hold", "1", "--control-groups", controllers.joined(separator: ","), "--threads", "2", "--memory", "64",
                stage.probe, "hang",
            ], asRoot: true, within: within)
        #expect(try driver.read(toLine: "held") != nil)
        let backend = group + "/backend-1"
        #expect(try read(group + "/agent/cgroup.procs").split(separator: "\n").count == 1)
        #expect(try read(backend + "/cgroup.procs").split(separator: "\n").count == 3)
        if controllers.contains("memory") { #expect(try read(backend + "/memory.max") == "\(64 << 20)") }
        if controllers.contains("pids") { #expect(try read(backend + "/pids.max") == "12") }
        if controllers.contains("cpu") { #expect(try read(backend + "/cpu.max") == "200000 100000") }
        driver.kill()
        for folder in [backend, group + "/agent", group] {
            let isEmpty = try eventuallyBlocking { try !read(folder + "/cgroup.events").contains("populated 1") }
            #expect(isEmpty, "\(folder) still has processes")
            #expect(rmdir(folder) == 0)
        }
    }

    @Test("where no group was delegated the launch goes on without one, and no group is made")
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
    /// The root of the tree, and which of the controllers it has.
    static let found: (root: String, controllers: [String])? = {
        guard Stage.isRoot else { return nil }
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            guard let text = try? String(contentsOfFile: root + "/cgroup.controllers", encoding: .utf8) else {
                continue
            }
            let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
            let controllers = ["memory", "cpu", "pids"].filter(words.contains)
            if !controllers.isEmpty { return (root, controllers) }
        }
        return nil
    }()
}
