internal import Glibc
internal import LaunchPlan
internal import LinuxSystem
internal import Synchronization

/// The part of the cgroup v2 tree that was delegated to this agent, where every backend gets a group with limits of its
/// own (kernel: admin-guide/cgroup-v2, "Delegation"). A plain value; any thread may use it.
package struct ControlGroups: Sendable {
    /// The controllers that an agent demands.
    package static let demanded = ["memory", "cpu", "pids"]

    /// The folder that holds the groups.
    let folder: String
    private let controllers: [String]

    init(folder: String, controllers: [String]) {
        self.folder = folder
        self.controllers = controllers
    }

    /// Why the agent has no control groups, in words for its owner.
    package struct Absent: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// The group of the agent itself: a group with limits for others may hold no process (the "no internal process" rule).
    private static let ownGroup = "agent"
    private static let textBytesMax = 1 << 20
    private static let made = Atomic<UInt64>(0)

    /// Finds this process's group, moves the process into a group below it, and enables limits for the groups of
    /// backends. Throws if the group was not delegated to this user with these controllers, and then changes nothing.
    package static func claim(controllers: [String] = demanded) throws(Absent) -> ControlGroups {
        let groups = try find(controllers: controllers)
        do throws(LinuxError) {
            try groups.prepare()
        } catch {
            throw groups.absent(error)
        }
        return groups
    }

    /// Finds this process's group and changes nothing. Throws if it was not delegated.
    package static func find(controllers: [String] = demanded) throws(Absent) -> ControlGroups {
        let place = try ownPlace()
        // The agent may have been started again in its own leaf, or systemd may have put it there (DelegateSubgroup=).
        let folder =
            place.hasSuffix("/" + ownGroup) ? String(place.dropLast(ownGroup.utf8.count + 1)) : place
        let groups = ControlGroups(folder: folder, controllers: controllers)
        do throws(LinuxError) {
            try groups.refuseUndelegated()
        } catch {
            throw groups.absent(error)
        }
        return groups
    }

    /// The folder of this process's group.
    static func ownPlace() throws(Absent) -> String {
        guard let own = try? FileBytes.readPseudo("/proc/self/cgroup", max: textBytesMax),
            let mounts = try? FileBytes.readPseudo("/proc/self/mountinfo", max: textBytesMax),
            let place = ownFolder(
                cgroup: String(decoding: own, as: UTF8.self), mountinfo: String(decoding: mounts, as: UTF8.self))
        else { throw Absent(description: "there is no cgroup v2 tree that this process is in") }
        return place
    }

    private func absent(_ error: LinuxError) -> Absent {
        Absent(description: "the cgroup \(folder) was not delegated to hearth (\(error))")
    }

    /// The folder of the process's own cgroup v2, from the texts of /proc/self/cgroup and /proc/self/mountinfo
    /// (cgroups(7), proc_pid_mountinfo(5)); nil when there is none. Pure.
    static func ownFolder(cgroup: String, mountinfo: String) -> String? {
        guard let line = cgroup.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
        let path = line.dropFirst("0::".count)
        for mount in mountinfo.split(separator: "\n") {
            let fields = mount.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.endIndex, fields[dash + 1] == "cgroup2",
                fields.count > 4
            else { continue }
            let (root, point) = (fields[3], fields[4])
            guard root == "/" || path == root || path.hasPrefix(root + "/") else { continue }
            let below = root == "/" ? path : path.dropFirst(root.count)
            return below == "/" ? String(point) : String(point + below)
        }
        return nil
    }

    private func refuseUndelegated() throws(LinuxError) {
        for file in ["", "/cgroup.procs", "/cgroup.subtree_control"] {
            try checked("write \(folder)\(file)") { access(folder + file, W_OK) }
        }
        let offered = try read("cgroup.controllers").split(separator: " ").map(String.init)
        for controller in controllers where !offered.contains(controller) {
            throw LinuxError(code: ENOTSUP, operation: "use the controller '\(controller)'")
        }
    }

    private func prepare() throws(LinuxError) {
        try makeFolder(ControlGroups.ownGroup)
        try write("\(getpid())", "\(ControlGroups.ownGroup)/cgroup.procs")
        do throws(LinuxError) {
            try write(controllers.map { "+" + $0 }.joined(separator: " "), "cgroup.subtree_control")
        } catch {
            // Another process is in the group, so that it cannot have limits for groups below it.
            try write("\(getpid())", "cgroup.procs")
            rmdir("\(folder)/\(ControlGroups.ownGroup)")
            throw error
        }
        sweep()
        restoreLimits()
    }

    /// Makes a group with these limits. Its folder is removed with it.
    func makeGroup(_ limits: ControlGroupLimits) throws(LinuxError) -> ControlGroup {
        ControlGroup.removeLeftovers()
        // Two agents share the folder during a takeover.
        let name = "backend-\(getpid())-\(ControlGroups.made.add(1, ordering: .relaxed).newValue)"
        try makeFolder(name)
        let group = ControlGroup(path: "\(folder)/\(name)")
        try makeFolder("\(name)/\(GivenDescriptor.backendGroup)")
        if controllers.contains("memory") {
            try write("\(limits.memoryBytes)", "\(name)/memory.max")
            // Kernels without swap accounting have no such file.
            if access("\(folder)/\(name)/memory.swap.max", F_OK) == 0 { try write("0", "\(name)/memory.swap.max") }
            try write("1", "\(name)/memory.oom.group")
        }
        if controllers.contains("pids") { try write("\(limits.processes)", "\(name)/pids.max") }
        if controllers.contains("cpu") {
            try write("\(UInt64(limits.processors) * 100_000) 100000", "\(name)/cpu.max")
        }
        return group
    }

    /// Removes groups that an earlier agent left; one that is in use cannot be removed.
    private func sweep() {
        let names = (try? FolderNames.names(inFolder: folder, limit: 4096)) ?? []
        for name in names where name.hasPrefix("backend-") { _ = ControlGroup.remove("\(folder)/\(name)") }
    }

    private func makeFolder(_ name: String) throws(LinuxError) {
        let path = "\(folder)/\(name)"
        if mkdir(path, 0o755) != 0, errno != EEXIST { throw LinuxError.last("make \(path)") }
    }

    func read(_ file: String) throws(LinuxError) -> String {
        String(
            decoding: try FileBytes.readPseudo("\(folder)/\(file)", max: ControlGroups.textBytesMax), as: UTF8.self
        ).filter { $0 != "\n" }
    }

    func write(_ text: String, _ file: String) throws(LinuxError) {
        let path = "\(folder)/\(file)"
        let opened = try Descriptor.open(path, O_WRONLY)
        let bytes = Array(text.utf8)
        try checked("write '\(text)' to \(path)") { Glibc.write(opened.raw, bytes, bytes.count) }
    }
}
