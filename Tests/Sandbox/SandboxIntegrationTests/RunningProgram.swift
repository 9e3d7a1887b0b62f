import Foundation
import LinuxSystem
import Synchronization

/// A program that a test started, with a pipe for both its outputs that no other child inherits: one that did would keep
/// the pipe from ending, and Foundation's Process makes such pipes.
final class RunningProgram: Sendable {
    private let process: ProcessHandle
    private let input: Descriptor?
    private let output: Descriptor
    /// Read, and not asked for yet.
    private let pending = Mutex<[UInt8]>([])

    /// Looks the first word up in PATH. Its input is empty, or what `write` gives it.
    init(_ words: [String], in folder: String, hasInput: Bool = false) throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let (given, giving) = try Descriptor.pipe().take { ($0.release(), $1.release()) }
        defer { close(given) }
        input = hasInput ? Descriptor(owning: giving) : nil
        if !hasInput { close(giving) }
        let (reading, writing) = try Descriptor.pipe().take { ($0.release(), $1.release()) }
        output = Descriptor(owning: reading)
        defer { close(writing) }
        process = try ProcessHandle(
            child: ProcessSpawn.spawn(
                "/usr/bin/env", arguments: ["env", "-C", folder] + words, environment: ["PATH=\(path)"],
                descriptors: [given, writing, writing]))
    }

    /// What it still prints, until it and whoever it gave its outputs to have ended.
    func readToEnd() throws -> String {
        try pending.withLock { pending in
            while let more = try read() { pending += more }
            defer { pending = [] }
            return String(decoding: pending, as: UTF8.self)
        }
    }

    /// The next line, without its end; nil when it ends before.
    func readLine() throws -> String? {
        try pending.withLock { pending in
            while true {
                if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                    defer { pending.removeSubrange(...end) }
                    return String(decoding: pending[..<end], as: UTF8.self)
                }
                guard let more = try read() else { return nil }
                pending += more
            }
        }
    }

    func write(_ line: String) throws { try input?.writeAll(Array((line + "\n").utf8)) }

    /// What it prints, up to this line; nil when it ends before.
    func read(toLine line: String) throws -> String? {
        var text = ""
        while let next = try readLine() {
            text += next + "\n"
            if next == line { return text }
        }
        return nil
    }

    private func read() throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try checked("read what a program prints") { Foundation.read(output.raw, &buffer, buffer.count) }
        return count == 0 ? nil : Array(buffer.prefix(count))
    }

    /// The status as a shell tells it: 128 and the signal's number for one that was killed.
    func waitForExit() -> Int32 {
        switch process.waitForExit() {
        case .exited(let status): status
        case .signalled(let signal): 128 + signal
        }
    }

    var processID: Int32 { process.processID }

    var hasEnded: Bool { (try? Poll.wait(process.raw, for: .readable, nanoseconds: 0).isEmpty) != true }

    func send(signal: Int32) { process.send(signal: signal) }

    func kill() {
        process.kill()
        _ = process.waitForExit()
    }
}
