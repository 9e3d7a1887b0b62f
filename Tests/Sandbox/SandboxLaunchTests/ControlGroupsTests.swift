import Testing

@testable import SandboxLaunch

/// Where a process's own control group is.
struct ControlGroupsTests {
    private static let mounts = """
        25 30 0:23 / /proc rw,nosuid - proc proc rw
        31 25 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate
        """

    @Test("the folder is the group's path below the mount of the cgroup v2 tree")
    func folder() {
        #expect(
            ControlGroups.ownFolder(cgroup: "0::/user.slice/hearth.service\n", mountinfo: Self.mounts)
                == "/sys/fs/cgroup/user.slice/hearth.service")
        #expect(ControlGroups.ownFolder(cgroup: "0::/\n", mountinfo: Self.mounts) == "/sys/fs/cgroup")
    }

    @Test("beside the older hierarchies, the v2 tree's line and mount are found")
    func hybrid() {
        let mounts = """
            40 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            41 25 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            """
        #expect(
            ControlGroups.ownFolder(cgroup: "4:memory:/a\n1:name=systemd:/b\n0::/c\n", mountinfo: mounts)
                == "/sys/fs/cgroup/unified/c")
    }

    @Test("in a container whose tree is mounted from within, the path is the part below")
    func container() {
        let mounts = "31 25 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw"
        #expect(ControlGroups.ownFolder(cgroup: "0::/docker/abc/x\n", mountinfo: mounts) == "/sys/fs/cgroup/x")
        #expect(ControlGroups.ownFolder(cgroup: "0::/docker/abc\n", mountinfo: mounts) == "/sys/fs/cgroup")
        #expect(ControlGroups.ownFolder(cgroup: "0::/docker/abcdef\n", mountinfo: mounts) == nil)
    }

    @Test("without a v2 tree there is none", arguments: ["", "4:memory:/a\n", "0::relative\n"])
    func none(cgroup: String) {
        #expect(ControlGroups.ownFolder(cgroup: cgroup, mountinfo: Self.mounts) == nil)
    }

    @Test("lines that are cut short are passed over")
    func cutShort() {
        for mounts in ["", "31", "31 25 0:26 - cgroup2", "- cgroup2", "1 2 3 4 5 - "] {
            #expect(ControlGroups.ownFolder(cgroup: "0::/\n", mountinfo: mounts) == nil)
        }
    }

    @Test("a kill for lack of memory is read from memory.events, and nothing else is")
    func memoryEvents() {
        let none = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n"
        #expect(!ControlGroup.hasMemoryKill(none))
        #expect(ControlGroup.hasMemoryKill(none.replacing("oom_kill 0", with: "oom_kill 3")))
        #expect(!ControlGroup.hasMemoryKill(""))
        #expect(!ControlGroup.hasMemoryKill("oom_kill\n"))
    }

    @Test("a group's limits are noted without what it has taken, and read from the note again")
    func notedLimits() {
        let texts = ["memory.max": "1000", "pids.max": "20", "cpu.max": "100000 100000", "cgroup.procs": "7"]
        let noted = NotedLimits(texts: texts, statistics: "anon 300\nfile 500\nshmem 50\ninactive_anon 300\n")
        #expect(noted.note == "memory.max 650\npids.max 20\ncpu.max 100000 100000\n")
        #expect(NotedLimits(note: noted.note) == noted)
        #expect(NotedLimits(texts: ["memory.max": "max"], statistics: "anon 300\n").note == "memory.max max\n")
        #expect(NotedLimits(texts: ["memory.max": "10"], statistics: "anon 300\n").note == "memory.max 0\n")
    }

    @Test("a note names no other file")
    func strangeNote() {
        #expect(NotedLimits(note: "cgroup.kill 1\n../pids.max 2\npids.max\n\npids.max 3\n").note == "pids.max 3\n")
    }
}
