internal import Glibc
internal import LinuxSystem

/// How all processes of a backend are frozen.
enum Freezer {
    /// By the kernel's freezer, which no process in the group can prevent (cgroup-v2, cgroup.freeze).
    case group(BackendGroup)
    /// By SIGSTOP, which no program can catch, sent to the processes that this number names for kill(2). A SIGCONT that
    /// a backend had arranged before, by a timer or a descriptor, could wake it: no shipped policy allows that, and the
    /// keeper stops it again.
    case signal(to: pid_t)

    /// The descriptors that must stay open.
    var descriptors: [CInt] { if case .group(let group) = self { group.descriptors } else { [] } }

    /// The descriptor that becomes ready for `priority` when the group may be frozen; -1 with SIGSTOP, where the
    /// child's change shows it.
    var events: CInt { if case .group(let group) = self { group.events } else { -1 } }

    /// Begins to freeze the processes.
    func stop() throws(LinuxError) {
        switch self {
        case .group(let group): try group.freeze(true)
        case .signal(let number): try checked("stop the backend") { kill(number, SIGSTOP) }
        }
    }

    func resume() throws(LinuxError) {
        switch self {
        case .group(let group): try group.freeze(false)
        case .signal(let number): try checked("let the backend go on") { kill(number, SIGCONT) }
        }
    }

    /// Whether the group is frozen; false with SIGSTOP, where the child's change shows it.
    func isStill() throws(LinuxError) -> Bool {
        if case .group(let group) = self { try group.isFrozen() } else { false }
    }
}
