internal import CLinux
internal import Glibc

/// An account of this machine (passwd(5)).
package struct SystemUser: Sendable, Equatable {
    package let name: String
    package let uid: UInt32
    package let gid: UInt32

    /// Nil when there is no such account.
    package init?(named name: String) {
        guard let entry = getpwnam(name) else { return nil }
        self.name = name
        uid = entry.pointee.pw_uid
        gid = entry.pointee.pw_gid
    }

    package static var currentIsRoot: Bool { geteuid() == 0 }
    package static var currentID: UInt32 { geteuid() }

    /// Becomes this user for good, in every thread (setgroups(2), setgid(2), setuid(2) as root); throws if root could be
    /// regained.
    package func become() throws(LinuxError) {
        try checked("give up supplementary groups") { hearth_clear_groups() }
        try checked("become group \(gid)") { setgid(gid) }
        try checked("become user \(name)") { setuid(uid) }
        guard uid != 0, setuid(0) != 0 else {
            throw LinuxError(code: EPERM, operation: "give up root for good")
        }
    }
}
