internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import Synchronization

/// The control group of one backend and its launcher, with a group below it for the backend alone. Processes that are
/// still in them are killed when the last reference is released, unless another agent has them.
package final class ControlGroup: Sendable {
    /// Groups that could not be removed, because a process in them had not ended yet.
    private static let leftovers = Mutex<[String]>([])

    package let path: String

    private let isAbandoned = Atomic(false)

    init(path: String) { self.path = path }

    /// Leaves it to another agent.
    func abandon() { isAbandoned.store(true, ordering: .relaxed) }

    /// Whether the kernel killed a process in it because memory.max was reached (memory.events, `oom_kill`).
    package var ranOutOfMemory: Bool {
        guard let events = try? FileBytes.readPseudo("\(path)/memory.events", max: 4096) else { return false }
        return ControlGroup.hasMemoryKill(String(decoding: events, as: UTF8.self))
    }

    /// Whether the text of memory.events counts such a kill. Pure.
    static func hasMemoryKill(_ events: String) -> Bool {
        events.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count == 2 && fields[0] == "oom_kill" && fields[1] != "0"
        }
    }

    deinit {
        if isAbandoned.load(ordering: .relaxed) { return }
        if let kill = try? Descriptor.open("\(path)/cgroup.kill", O_WRONLY) { _ = write(kill.raw, "1", 1) }
        if !ControlGroup.remove(path) { ControlGroup.leftovers.withLock { $0.append(path) } }
    }

    /// Removes a group; false if it is in use and cannot be removed.
    static func remove(_ path: String) -> Bool {
        rmdir("\(path)/\(GivenDescriptor.backendGroup)")
        return rmdir(path) == 0 || errno == ENOENT
    }

    static func removeLeftovers() {
        leftovers.withLock { paths in paths.removeAll(where: remove) }
    }
}
