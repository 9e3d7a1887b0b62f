internal import LinuxSystem

/// The kernel's settings that decide whether a tier can be had (proc(5), "/proc/sys"). A backend that could not be held
/// as demanded may be held once one of them has changed.
struct HostSettings: Equatable, Sendable {
    /// Files that hold a number or a few words. Not every kernel has each of them.
    static let paths =
        ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"].map { "/proc/sys/user/max_\($0)_namespaces" } + [
            "/proc/sys/kernel/unprivileged_userns_clone", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "/proc/sys/kernel/seccomp/actions_avail", "/proc/sys/vm/memfd_noexec",
        ]
    private static let bytesMax = 4_096

    /// By path; nil for what cannot be read.
    private let contents: [String: [UInt8]?]

    init(_ paths: [String] = HostSettings.paths) {
        contents = Dictionary(paths.map { ($0, try? FileBytes.readPseudo($0, max: Self.bytesMax)) }) { first, _ in first
        }
    }
}
