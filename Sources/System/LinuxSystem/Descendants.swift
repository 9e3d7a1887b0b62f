internal import CLinux
internal import Glibc

/// The processes that this one has started, and those that they have started and left behind.
package enum Descendants {
    private static let statBytesMax = 4096
    private static let processesMax = 1 << 20

    /// From here on a descendant whose parent ends becomes a child of this process (prctl(2), PR_SET_CHILD_SUBREAPER), so
    /// that `end` finds it.
    package static func adopt() throws(LinuxError) {
        try checked("adopt the processes that children leave behind") { hearth_adopt_descendants() }
    }

    /// Kills all of them, and returns once they are gone. What this process may not kill, another user's, stays. For a
    /// process that no longer needs any child, and that waits for none meanwhile.
    package static func end() {
        while true {
            let own = getpid()
            // A child's own children become ours when it ends, and are found in the next round.
            let killed = parents().filter { $0.value == own && kill($0.key, SIGKILL) == 0 }.keys
            if killed.isEmpty { return }
            for child in killed { while waitpid(child, nil, 0) < 0, errno == EINTR {} }
        }
    }

    /// Every process that /proc shows, and its parent (proc_pid_stat(5)).
    package static func parents() -> [CInt: CInt] {
        let names = (try? FolderNames.names(inFolder: "/proc", limit: processesMax)) ?? []
        var parents: [CInt: CInt] = [:]
        for process in names.compactMap({ CInt($0) }) {
            // The name, in parentheses, may contain anything; the parent is the second word after it.
            guard let bytes = try? FileBytes.readPseudo("/proc/\(process)/stat", max: statBytesMax) else { continue }
            let words = bytes.split(separator: UInt8(ascii: ")")).last?.split(separator: UInt8(ascii: " ")) ?? []
            if words.count > 1 { parents[process] = CInt(String(decoding: words[1], as: UTF8.self)) }
        }
        return parents
    }
}
