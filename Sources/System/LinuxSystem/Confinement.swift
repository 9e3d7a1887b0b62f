internal import CLinux
internal import Glibc

/// Rights that a process gives up for good, for itself and all that it executes.
package enum Confinement {
    /// From here on no exec gains privileges (prctl(2), PR_SET_NO_NEW_PRIVS).
    package static func setNoNewPrivileges() throws(LinuxError) {
        try checked("set no_new_privs") { hearth_set_no_new_privileges() }
    }

    /// Gives up every capability, and every way to gain one: needs CAP_SETPCAP (capabilities(7)).
    package static func dropCapabilities() throws(LinuxError) {
        try checked("drop the bounding set") { hearth_drop_bounding_set() }
        try checked("lock securebits") { hearth_lock_securebits() }
        try clearCapabilities()
    }

    /// Empties this process's own sets; needs no capability.
    package static func clearCapabilities() throws(LinuxError) {
        try checked("clear capabilities") { hearth_clear_capabilities() }
    }

    package static func hasCapabilities() throws(LinuxError) -> Bool {
        try checked("read capabilities") { hearth_has_capabilities() } == 1
    }

    /// Processes of the same user cannot trace this one until it executes something (prctl(2), PR_SET_DUMPABLE).
    package static func forbidTracing() throws(LinuxError) {
        try checked("forbid tracing") { hearth_set_dumpable(0) }
    }

    /// setrlimit(2), soft and hard; a value above the hard limit in force leaves that in force.
    package static func setLimit(_ resource: UInt32, _ value: UInt64) throws(LinuxError) {
        try checked("set resource limit \(resource) to \(value)") { hearth_set_limit(resource, value) }
    }

    /// Sends SIGKILL to this process when the thread that forked it ends (prctl(2), PR_SET_PDEATHSIG). The caller must
    /// check afterwards that the parent had not ended before.
    package static func dieWithParent() throws(LinuxError) {
        try checked("set the parent-death signal") { hearth_set_parent_death_signal(SIGKILL) }
    }
}

/// A Landlock ruleset (landlock(7)): it restricts everything that the kernel can restrict, except what is allowed.
package struct LandlockRuleset: ~Copyable {
    private let ruleset: Descriptor
    /// The version of the kernel's interface, from 1.
    package let version: CInt

    /// Access rights to a file, or to everything below a folder. The bits of linux/landlock.h.
    package struct Rights: OptionSet, Sendable {
        package let rawValue: UInt64
        package init(rawValue: UInt64) { self.rawValue = rawValue }
        package static let execute = Rights(rawValue: 1 << 0)
        package static let readFile = Rights(rawValue: 1 << 2)
        package static let readFolder = Rights(rawValue: 1 << 3)
        package static let writeFile = Rights(rawValue: 1 << 1)
        /// ioctl(2) on a device; only from version 5 on.
        package static let deviceControl = Rights(rawValue: 1 << 15)
        /// Make, write, truncate and remove files and folders; no devices, sockets, pipes or links.
        package static let change = Rights(rawValue: 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14)
        /// Only from version 3 on.
        static let truncate = Rights(rawValue: 1 << 14)
    }

    /// The version of this kernel's interface; 0: there is none.
    package static var kernelVersion: Int { max(0, Int(hearth_landlock_abi())) }

    package init() throws(LinuxError) {
        let version = hearth_landlock_abi()
        guard version > 0 else { throw LinuxError.last("find Landlock (kernel 5.13 or later with it enabled)") }
        let raw = try checked("make a Landlock ruleset") { hearth_landlock_ruleset(version) }
        self.version = version
        ruleset = Descriptor(owning: raw)
    }

    package func allow(_ rights: Rights, on opened: borrowing Descriptor) throws(LinuxError) {
        var known = version >= 3 ? rights : rights.subtracting(.truncate)
        if version < 5 { known.subtract(.deviceControl) }
        try checked("allow a path in Landlock") {
            hearth_landlock_allow(ruleset.raw, opened.raw, known.rawValue)
        }
    }

    /// Applies it to this process and all that it forks; needs no_new_privs.
    package func restrictSelf() throws(LinuxError) {
        try checked("restrict with Landlock") { hearth_landlock_restrict(ruleset.raw, version) }
    }
}
