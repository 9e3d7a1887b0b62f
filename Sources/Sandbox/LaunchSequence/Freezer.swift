internal import Glibc
internal import LinuxSystem

/// How everything of a backend is made to stand still.
enum Freezer {
    /// By the kernel's freezer, which nothing in the group can hinder (cgroup-v2, cgroup.freeze).
    case group(BackendGroup)
    /// By SIGSTOP, which no program can catch, to whom this number means for kill(2). A backend could be woken by a SIGCONT
    /// that it had ordered before, by a timer or a descriptor: no shipped policy lets it, and it is stopped again.
    case signal(to: pid_t)

    /// To be kept open.
    var descriptors: [CInt] { if case .group(let group) = self { group.descriptors } else { [] } }

    /// What becomes ready, for `priority`, when the group may stand still; -1 where that is seen of the child.
    var events: CInt { if case .group(let group) = self { group.events } else { -1 } }

    /// Begins to.
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

    /// Whether the group stands still; false where that is seen of the child.
    func isStill() throws(LinuxError) -> Bool {
        if case .group(let group) = self { try group.isFrozen() } else { false }
    }
}
