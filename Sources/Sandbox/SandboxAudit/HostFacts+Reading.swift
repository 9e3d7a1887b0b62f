internal import Glibc
internal import LinuxSystem
internal import SandboxLaunch

extension HostFacts {
    private static let textBytesMax = 1 << 20

    /// Looks at this machine, as this process sees it. What cannot be read is left unknown.
    /// - Parameter shippedAppArmorProfile: where an installation has put the profile, whether it is there or not.
    package static func read(shippedAppArmorProfile: String?) -> HostFacts {
        var facts = HostFacts()
        var names = utsname()
        if uname(&names) == 0 {
            facts.kernelRelease = withUnsafeBytes(of: &names.release) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
        }
        facts.landlockVersion = LandlockRuleset.kernelVersion
        facts.seccompActions = text("/proc/sys/kernel/seccomp/actions_avail")?
            .split(whereSeparator: \.isWhitespace).map(String.init)
        facts.userNamespacesMax = number("/proc/sys/user/max_user_namespaces")
        facts.unprivilegedNamespaces = number("/proc/sys/kernel/unprivileged_userns_clone").map { $0 != 0 }
        facts.appArmorRestrictsNamespaces =
            (number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") ?? 0) != 0
        facts.hasAppArmorProfile = exists("/etc/apparmor.d/hearth-sandbox")
        facts.shippedAppArmorProfile = shippedAppArmorProfile.flatMap { exists($0) ? $0 : nil }
        facts.container = container(
            marks: ["/.dockerenv", "/run/.containerenv"].filter(exists), systemd: text("/run/systemd/container"),
            cgroup: text("/proc/1/cgroup"), mounts: text("/proc/self/mountinfo"))
        facts.isInChroot = text("/proc/self/mountinfo").map { !hasRootMount($0) } ?? false
        facts.isFiltered = text("/proc/self/status")?.contains("\nSeccomp:\t2\n") ?? false
        facts.memoryFilesNoExecution = number("/proc/sys/vm/memfd_noexec") ?? 0
        facts.yamaScope = number("/proc/sys/kernel/yama/ptrace_scope")
        facts.addressRandomization = number("/proc/sys/kernel/randomize_va_space") ?? 2
        facts.speculationControls = SpeculationControls.count
        do throws(ControlGroups.Absent) {
            _ = try ControlGroups.find()
        } catch {
            facts.controlGroupAbsence = error.description
        }
        return facts
    }

    /// The kind of this container, by the traces that container managers leave. Pure.
    static func container(marks: [String], systemd: String?, cgroup: String?, mounts: String?) -> String? {
        if marks.contains("/.dockerenv") { return "docker" }
        if marks.contains("/run/.containerenv") { return "podman" }
        if let systemd, let name = systemd.split(separator: "\n").first { return String(name) }
        let kinds = [
            ("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc"),
            ("machine.slice", "systemd-nspawn"),
        ]
        if let kind = kinds.first(where: { cgroup?.contains($0.0) ?? false }) { return kind.1 }
        // A container's root is an overlay; so is a live system's, which this alone does not distinguish.
        return mounts?.split(separator: "\n").contains { line in
            line.contains(" / / ") && line.contains(" - overlay ") && line.contains("/docker/overlay2/")
        } == true ? "docker" : nil
    }

    /// Whether a process's root is a mount (proc_pid_mountinfo(5), field 5). Pure.
    static func hasRootMount(_ mountinfo: String) -> Bool {
        mountinfo.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 && fields[4] == "/"
        }
    }

    private static func text(_ path: String) -> String? {
        guard let bytes = try? FileBytes.readPseudo(path, max: textBytesMax) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func number(_ path: String) -> Int? {
        text(path).flatMap { Int($0.prefix { $0.isNumber || $0 == "-" }) }
    }

    private static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
