internal import ChatTerminal
internal import Foundation
internal import LinuxSystem

/// The history of a person's conversations, in their state folder, readable by them only. An error of the file is
/// reported once.
struct ChatHistoryFile {
    private(set) var history = PromptHistory()
    /// Nil: the user has no home, and nothing is kept.
    private let path: String?
    private var isTold = false

    init(environment: [String: String]) {
        func folder(_ name: String) -> String? { environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil } }
        let states = folder("XDG_STATE_HOME") ?? folder("HOME").map { $0 + "/.local/state" }
        path = states.map { $0 + "/hearth/chat-history" }
    }

    /// Reads the file. Returns its error unless that was reported before.
    mutating func read() -> String? {
        guard let path else { return nil }
        do throws(LinuxError) {
            let bytes = try FileBytes.read(path, max: PromptHistory.fileBytesMax)
            history = PromptHistory(file: String(decoding: bytes, as: UTF8.self))
            return nil
        } catch {
            return error.code == ENOENT ? nil : problem(error)
        }
    }

    /// Adds a prompt, and returns an error in the same way. Entries that other conversations have added since stay.
    mutating func add(_ prompt: String) -> String? {
        let known = history
        if let problem = read() { return problem }
        if history.entries.isEmpty { history = known }
        history.add(prompt)
        guard let path, !isTold else { return nil }
        do {
            try FileManager.default.createDirectory(
                atPath: String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)),
                withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileBytes.replace(path, with: Array(history.file.utf8), isFlushed: false)
            return nil
        } catch {
            return problem(error)
        }
    }

    private mutating func problem(_ error: any Error) -> String? {
        defer { isTold = true }
        let why = (error as? LinuxError).map { "\($0)" } ?? error.localizedDescription
        return isTold ? nil : "what is asked is not kept for later conversations: cannot \(why)"
    }
}
