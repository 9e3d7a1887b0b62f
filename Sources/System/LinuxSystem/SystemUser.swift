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

    /// Whether a group (group(5)) has no member but this user and root: root's own group, or the group with the user's
    /// name and no other member.
    package static func isAlone(inGroup gid: UInt32, user: UInt32) -> Bool {
        if gid == 0 { return true }
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        var account = passwd()
        var found: UnsafeMutablePointer<passwd>?
        guard getpwuid_r(user, &account, &buffer, buffer.count, &found) == 0, found != nil, account.pw_gid == gid else {
            return false
        }
        let name = String(cString: account.pw_name)
        var entry = group()
        var foundGroup: UnsafeMutablePointer<group>?
        guard getgrgid_r(gid, &entry, &buffer, buffer.count, &foundGroup) == 0, foundGroup != nil,
            String(cString: entry.gr_name) == name
        else { return false }
        var member = entry.gr_mem
        while let other = member?.pointee {
            if String(cString: other) != name { return false }
            member = member?.advanced(by: 1)
        }
        return true
    }

    package static var currentIsRoot: Bool { geteuid() == 0 }
    package static var currentID: UInt32 { geteuid() }

    /// The name of this process's user; the number if it has no name.
    package static var currentName: String {
        guard let entry = getpwuid(geteuid()) else { return "\(geteuid())" }
        return String(cString: entry.pointee.pw_name)
    }

    /// The home folder of this process's user in passwd(5); nil without an account, or if it is no absolute path.
    package static var currentHome: String? {
        guard let entry = getpwuid(geteuid()), let folder = entry.pointee.pw_dir else { return nil }
        let home = String(cString: folder)
        return home.hasPrefix("/") ? home : nil
    }

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
