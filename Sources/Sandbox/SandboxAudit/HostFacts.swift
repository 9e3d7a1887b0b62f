/// The facts of this machine that decide how strongly it can hold a backend. A plain value: `read()` reads them,
/// `findings` judges them.
package struct HostFacts: Equatable, Sendable {
    /// `uname -r`, such as "6.1.0-18-amd64".
    package var kernelRelease = ""
    /// The version of the kernel's Landlock, from 1; 0: none.
    package var landlockVersion = 0
    /// /proc/sys/kernel/seccomp/actions_avail; nil where there is no such file.
    package var seccompActions: [String]?
    /// user.max_user_namespaces; nil: unknown.
    package var userNamespacesMax: Int?
    /// kernel.unprivileged_userns_clone, which Debian and Arch had; nil: the kernel has no such switch.
    package var unprivilegedNamespaces: Bool?
    /// kernel.apparmor_restrict_unprivileged_userns, from Ubuntu 23.10 on.
    package var appArmorRestrictsNamespaces = false
    /// Whether /etc/apparmor.d has the launcher's AppArmor profile.
    package var hasAppArmorProfile = false
    /// The path of the AppArmor profile that was installed with Hearth; nil: there is none.
    package var shippedAppArmorProfile: String?
    /// The kind of container that this process runs in, such as "docker"; nil: no known one.
    package var container: String?
    /// Whether the root of this process is no mount, as in a chroot.
    package var isInChroot = false
    /// Whether this process already has a seccomp filter.
    package var isFiltered = false
    /// vm.memfd_noexec: 2 forbids to execute memory files.
    package var memoryFilesNoExecution = 0
    /// kernel.yama.ptrace_scope; nil: no Yama.
    package var yamaScope: Int?
    /// kernel.randomize_va_space.
    package var addressRandomization = 2
    /// How many kinds of speculation a process can turn off for itself.
    package var speculationControls = 0
    /// Why no cgroup v2 was delegated; empty: one was.
    package var controlGroupAbsence = ""

    package init() {}

    /// The kernel's version as numbers; 0.0 where the release does not begin with them.
    package var kernelVersion: (major: Int, minor: Int) {
        let numbers = kernelRelease.split(whereSeparator: { !$0.isNumber }).prefix(2).map { Int($0) ?? 0 }
        return (numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
    }

    /// Whether the kernel is at least this version.
    package func isKernel(_ major: Int, _ minor: Int) -> Bool {
        kernelVersion.major > major || kernelVersion.major == major && kernelVersion.minor >= minor
    }
}

/// A fact about the machine, judged.
package struct HostFinding: Equatable, Sendable {
    package enum State: String, Sendable {
        case good
        /// It could be better, but the tier is available.
        case notice
        /// It keeps the machine from a tier.
        case bad
    }

    /// A stable name, lower case with hyphens.
    package let name: String
    package let state: State
    /// A clause that says what is so.
    package let text: String
    /// What the owner can do; nothing that weakens the machine. Nil where there is nothing to do.
    package let remedy: String?

    init(_ name: String, _ state: State, _ text: String, remedy: String? = nil) {
        self.name = name
        self.state = state
        self.text = text
        self.remedy = remedy
    }
}
