internal import CLinux
internal import Glibc

/// New namespaces for this process and those that it forks (namespaces(7)). Only for a process with one thread.
package enum Namespaces {
    /// CLONE_NEW… of linux/sched.h.
    package struct Kinds: OptionSet, Sendable {
        package let rawValue: CInt
        package init(rawValue: CInt) { self.rawValue = rawValue }
        package static let mount = Kinds(rawValue: 0x0002_0000)
        package static let cgroup = Kinds(rawValue: 0x0200_0000)
        package static let hostName = Kinds(rawValue: 0x0400_0000)
        package static let ipc = Kinds(rawValue: 0x0800_0000)
        package static let user = Kinds(rawValue: 0x1000_0000)
        package static let process = Kinds(rawValue: 0x2000_0000)
        package static let network = Kinds(rawValue: 0x4000_0000)
    }

    /// Enters new namespaces; the next child is the first process of a new PID namespace. In a new user namespace this
    /// process has no mapped user until `mapUser`.
    package static func unshare(_ kinds: Kinds) throws(LinuxError) {
        try checked("unshare") { hearth_unshare(kinds.rawValue) }
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

    /// Sets the host and domain name of this UTS namespace (sethostname(2), setdomainname(2)).
    package static func setHostName(_ name: String) throws(LinuxError) {
        try checked("set the host name") { sethostname(name, name.utf8.count) }
        try checked("set the domain name") { setdomainname(name, name.utf8.count) }
    }

    /// Forbids user namespaces below this one, and with them every new namespace of an ordinary process.
    package static func forbidNesting() throws(LinuxError) {
        try write("0", to: "/proc/sys/user/max_user_namespaces")
    }

    /// Whether this process is root of the machine: user 0 in a namespace where every user exists. Where the map
    /// cannot be read, user 0 counts as root.
    package static func isMachineRoot() -> Bool {
        guard geteuid() == 0 || getuid() == 0 else { return false }
        return everyUserExists() ?? true
    }

    /// The number that stands for every user that does not exist in this process's user namespace, such as the
    /// machine's root; nil if all users exist (user_namespaces(7)).
    package static func unmappedUser() -> UInt32? {
        guard everyUserExists() == false,
            let number = try? FileBytes.readPseudo("/proc/sys/kernel/overflowuid", max: 32)
        else { return nil }
        return UInt32(String(decoding: number, as: UTF8.self).prefix { $0.isNumber })
    }

    /// Nil: unknown.
    private static func everyUserExists() -> Bool? {
        guard let map = try? FileBytes.readPseudo("/proc/self/uid_map", max: 4096) else { return nil }
        return map.split(whereSeparator: { $0 == 0x20 || $0 == 0x0a }).map { String(decoding: $0, as: UTF8.self) }
            == ["0", "0", "4294967295"]
    }

    private static func write(_ text: String, to path: String) throws(LinuxError) {
        let file = try Descriptor.open(path, O_WRONLY)
        let bytes = Array(text.utf8)
        try checked("write '\(text)' to \(path)") { Glibc.write(file.raw, bytes, bytes.count) }
    }
}
