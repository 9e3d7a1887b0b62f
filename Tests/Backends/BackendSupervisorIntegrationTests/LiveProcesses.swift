import Foundation

/// Whether a process with this number is there.
func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

/// All processes below one, from /proc (proc_pid_stat(5)): the fourth field is the parent.
func descendants(of pid: Int32) -> [Int32] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) } ?? []
    let children = all.filter { candidate in
        guard let stat = try? String(contentsOfFile: "/proc/\(candidate)/stat", encoding: .utf8),
            let name = stat.lastIndex(of: ")")
        else { return false }
        let fields = stat[name...].split(separator: " ")
        return fields.count > 2 && Int32(fields[2]) == pid
    }
    return children + children.flatMap(descendants)
}

/// The processes whose first argument is this, as a backend's is its name.
func processes(named name: String) -> [Int32] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) } ?? []
    return all.filter { FileManager.default.contents(atPath: "/proc/\($0)/cmdline")?.starts(with: name.utf8) == true }
}

/// The memory that this process has in use (proc_pid_status(5), VmRSS).
func residentKibibytes() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
}

/// How many descriptors this process has open.
func openDescriptors() -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0
}
