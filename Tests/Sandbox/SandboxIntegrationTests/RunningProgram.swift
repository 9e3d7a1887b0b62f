import Foundation
import LinuxSystem

/// A program that a test started, with a pipe for both its outputs that no other child inherits: one that did would keep
/// the pipe from ending, and Foundation's Process makes such pipes.
final class RunningProgram: Sendable {
    private let process: ProcessHandle
    private let output: Descriptor

    /// Looks the first word up in PATH.
    init(_ words: [String], in folder: String) throws {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        let (reading, writing) = try Descriptor.pipe().take { ($0.release(), $1.release()) }
        output = Descriptor(owning: reading)
        defer { close(writing) }
        process = try ProcessHandle(
            child: ProcessSpawn.spawn(
                "/usr/bin/env", arguments: ["env", "-C", folder] + words, environment: ["PATH=\(path)"],
                descriptors: [null.raw, writing, writing]))
    }

    /// What it still prints, until it and whoever it gave its outputs to have ended.
    func readToEnd() throws -> String {
        var text: [UInt8] = []
        while let more = try read() { text += more }
        return String(decoding: text, as: UTF8.self)
    }

    /// What it prints, up to this line; nil when it ends before.
    func read(toLine line: String) throws -> String? {
        var text: [UInt8] = []
        while !String(decoding: text, as: UTF8.self).hasSuffix(line + "\n") {
            guard let more = try read() else { return nil }
            text += more
        }
        return String(decoding: text, as: UTF8.self)
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
