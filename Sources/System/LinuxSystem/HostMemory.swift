internal import Glibc

/// The memory that this process and its children can have: the machine's (proc_meminfo(5)), or less where a control group
/// above them says so (cgroups(7); memory.max of version 2, memory.limit_in_bytes of version 1).
package struct HostMemory: Equatable, Sendable {
    /// What there is at most.
    package var totalBytes: UInt64
    /// What could be had now without swapping: what is free, and what the kernel can take back from the cache of files.
    package var availableBytes: UInt64

    package init(totalBytes: UInt64, availableBytes: UInt64) {
        self.totalBytes = totalBytes
        self.availableBytes = availableBytes
    }

    private static let textBytesMax = 64 << 10

    /// As the kernel tells it now; without `/proc` there is none. `root` stands before all paths.
    package static func read(root: String = "") -> HostMemory {
        let facts = numbers(of: "\(root)/proc/meminfo")
        var memory = HostMemory(
            totalBytes: (facts["MemTotal"] ?? 0) &* 1024, availableBytes: (facts["MemAvailable"] ?? 0) &* 1024)
        for line in text("\(root)/proc/self/cgroup").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            if parts[0] == "0" {
                memory.narrow(
                    "\(root)/sys/fs/cgroup", String(parts[2]), limit: "memory.max", usage: "memory.current",
                    cache: ["active_file", "inactive_file"])
            } else if parts[1].split(separator: ",").contains("memory") {
                memory.narrow(
                    "\(root)/sys/fs/cgroup/memory", String(parts[2]), limit: "memory.limit_in_bytes",
                    usage: "memory.usage_in_bytes", cache: ["total_active_file", "total_inactive_file"])
            }
        }
        return memory
    }

    /// Each group on the way up may hold less.
    private mutating func narrow(_ mount: String, _ path: String, limit: String, usage: String, cache: [String]) {
        var parts = path.split(separator: "/")
        while true {
            let group = ([mount] + parts.map(String.init)).joined(separator: "/")
            if let most = Self.number("\(group)/\(limit)"), most < totalBytes || most < availableBytes {
                let used = Self.number("\(group)/\(usage)") ?? 0
                let facts = Self.numbers(of: "\(group)/memory.stat")
                let reclaimable = cache.reduce(0) { $0 &+ (facts[$1] ?? 0) }
                let taken = used > reclaimable ? used - reclaimable : 0
                totalBytes = min(totalBytes, most)
                availableBytes = min(availableBytes, most > taken ? most - taken : 0)
            }
            if parts.popLast() == nil { return }
        }
    }

    /// Anonymous memory of a process and all that come of it (proc_pid_status(5), "RssAnon"), and of its children's
    /// (proc_tid_children(5)); 0 where there is none, or it is not told.
    package static func anonymousBytes(ofProcess process: Int32, depth: Int = 4) -> UInt64 {
        guard process > 0, depth > 0 else { return 0 }
        let own = (numbers(of: "/proc/\(process)/status")["RssAnon"] ?? 0) &* 1024
        return text("/proc/\(process)/task/\(process)/children").split(separator: " ").compactMap { Int32($0) }
            .reduce(own) { $0 &+ anonymousBytes(ofProcess: $1, depth: depth - 1) }
    }

    private static func text(_ path: String) -> String {
        (try? FileBytes.readPseudo(path, max: textBytesMax)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private static func number(_ path: String) -> UInt64? {
        UInt64(text(path).prefix { $0.isNumber })
    }

    /// Lines of a name, perhaps a colon, and a number.
    private static func numbers(of path: String) -> [String: UInt64] {
        var numbers: [String: UInt64] = [:]
        for line in text(path).split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == ":" }
            if words.count >= 2, let number = UInt64(words[1]) { numbers[String(words[0])] = number }
        }
        return numbers
    }
}
