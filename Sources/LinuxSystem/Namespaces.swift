internal import CLinux
internal import Glibc

/// New namespaces for this process and those that it forks (namespaces(7)). Only for a process with one thread.
package enum Namespaces {
    /// Enters a new user, mount, network, IPC, UTS and cgroup namespace; the next child is the first process of a new
    /// PID namespace. Until `mapUser` this process is nobody there.
    package static func unshareAll() throws(LinuxError) {
        try checked("unshare") { hearth_unshare_all() }
    }

    /// Makes this process's user and group the given ones inside (user_namespaces(7)); no other user exists there.
    package static func mapUser(
        outsideUser: UInt32, outsideGroup: UInt32, insideUser: UInt32, insideGroup: UInt32
    ) throws(LinuxError) {
        // An ordinary user may map its group only after it has given up changing groups.
        try write("deny", to: "/proc/self/setgroups")
        try write("\(insideUser) \(outsideUser) 1", to: "/proc/self/uid_map")
        try write("\(insideGroup) \(outsideGroup) 1", to: "/proc/self/gid_map")
    }

    /// Forbids user namespaces below this one, and with them every new namespace of an ordinary process.
    package static func forbidNesting() throws(LinuxError) {
        try write("0", to: "/proc/sys/user/max_user_namespaces")
    }

    /// Whether this process is root of the machine: user 0 in a namespace where every user exists. Where the map
    /// cannot be read, user 0 counts as root.
    package static func isMachineRoot() -> Bool {
        guard geteuid() == 0 || getuid() == 0 else { return false }
        guard let map = try? FileBytes.readPseudo("/proc/self/uid_map", max: 4096) else { return true }
        return map.split(whereSeparator: { $0 == 0x20 || $0 == 0x0a }).map { String(decoding: $0, as: UTF8.self) }
            == ["0", "0", "4294967295"]
    }

    private static func write(_ text: String, to path: String) throws(LinuxError) {
        let file = try Descriptor.open(path, O_WRONLY)
        let bytes = Array(text.utf8)
        try checked("write '\(text)' to \(path)") { Glibc.write(file.raw, bytes, bytes.count) }
    }
}
