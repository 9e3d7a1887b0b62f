/// The limits of a backend's control group, as they are noted on the group itself while its files for them are gone:
/// lines of a file's name and its text. A plain value.
struct NotedLimits: Equatable {
    /// The files of limits. Those of controllers that are not enabled are absent.
    static let files = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"]
    static let bytesMax = 1024

    private(set) var lines: [(file: String, text: String)] = []

    /// - Parameters:
    ///   - texts: what each of `files` holds.
    ///   - statistics: memory.stat. A controller that is enabled anew counts from nothing, so that the group may have
    ///     only what it has not taken yet. Pages of files can be dropped, and do not count.
    init(texts: [String: String], statistics: String) {
        for file in NotedLimits.files {
            guard var text = texts[file] else { continue }
            if file == "memory.max", let limit = UInt64(text) {
                let taken = NotedLimits.taken(statistics)
                text = String(limit > taken ? limit - taken : 0)
            }
            lines.append((file, text))
        }
    }

    /// From the note. Other files are not written, whatever it says.
    init(note: String) {
        for line in note.split(separator: "\n") {
            guard let blank = line.firstIndex(of: " ") else { continue }
            let file = String(line[..<blank])
            if NotedLimits.files.contains(file) { lines.append((file, String(line[line.index(after: blank)...]))) }
        }
    }

    var note: String { lines.map { "\($0.file) \($0.text)\n" }.joined() }

    /// Bytes that cannot be dropped: anonymous memory, and shared memory.
    private static func taken(_ statistics: String) -> UInt64 {
        statistics.split(separator: "\n").reduce(0) { sum, line in
            let fields = line.split(separator: " ")
            guard fields.count == 2, fields[0] == "anon" || fields[0] == "shmem", let bytes = UInt64(fields[1]) else {
                return sum
            }
            return sum &+ bytes
        }
    }

    static func == (one: NotedLimits, other: NotedLimits) -> Bool { one.note == other.note }
}
