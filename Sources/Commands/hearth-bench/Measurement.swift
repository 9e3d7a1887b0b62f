internal import Foundation
internal import Glibc
internal import LinuxSystem

/// Measures what happens between its making and `figures`.
struct Measurement {
    private let pid: Int32
    private let started = Monotonic.now()
    private let processorTime: Double
    private let ownNanoseconds = Measurement.ownNanoseconds()

    init(of pid: Int32) throws {
        self.pid = pid
        processorTime = try Measurement.processorSeconds(of: pid)
    }

    func figures(tokens: Int, bytes: UInt64) throws -> Figures {
        let seconds = Double(Monotonic.now().since(started)) / 1e9
        let spent = try Measurement.processorSeconds(of: pid) - processorTime
        let own = Double(Measurement.ownNanoseconds() - ownNanoseconds)
        return Figures(
            tokens: tokens, seconds: seconds, tokensPerSecond: Double(tokens) / seconds,
            relayMicrosecondsPerToken: spent * 1e6 / Double(tokens),
            clientMicrosecondsPerToken: own / 1e3 / Double(tokens), bytesPerToken: Double(bytes) / Double(tokens))
    }

    /// What all threads of this process have run (clock_gettime(2), CLOCK_PROCESS_CPUTIME_ID).
    private static func ownNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// User and system time of all threads, in ticks of 1/100 s (proc(5), /proc/PID/stat, fields 14 and 15).
    private static func processorSeconds(of pid: Int32) throws -> Double {
        let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The name in parentheses may hold blanks; the fields after it begin with the third.
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw BenchError("/proc/\(pid)/stat cannot be read: is the agent still running?")
        }
        return (user + system) / 100
    }

    /// The same of a process and of all that descend from it.
    static func processorSecondsOfTree(_ root: Int32) throws -> Double {
        var parents: [Int32: Int32] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
            // It may have ended meanwhile.
            guard let pid = Int32(name), let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            else { continue }
            let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
            if fields.count > 2, let parent = Int32(fields[2]) { parents[pid] = parent }
        }
        func descends(_ pid: Int32) -> Bool { pid == root || parents[pid].map { $0 > 0 && descends($0) } ?? false }
        return try parents.keys.filter(descends).reduce(0) { $0 + (try processorSeconds(of: $1)) }
    }

    static func print(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        Swift.print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
