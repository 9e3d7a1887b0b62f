// Brings one model into a folder of models: reads a request, a line of JSON, from standard input and writes its events, a line
// of JSON each, to standard output. It ends when standard input does, and with an exit code as sysexits(3).
internal import Glibc
internal import LinuxSystem
internal import ModelDownload
internal import ModelPull

/// Writes events. Progress is told five times a second at most, and left out while nobody reads.
final class EventWriter {
    private var lastKind: PullEvent.Kind?
    private var lastTime = Monotonic(nanoseconds: 0)
    /// Progress that is not told yet.
    private var held: PullEvent?
    private static let intervalNanoseconds: UInt64 = 200_000_000

    func take(_ event: PullEvent) {
        guard event.kind == .downloading || event.kind == .verifying else {
            held = nil
            return write(event)
        }
        held = event
        if event.kind != lastKind || event.done == event.total { lastTime = Monotonic(nanoseconds: 0) }
        tellHeld()
    }

    /// Tells the progress that is held back, if it is time.
    func tellHeld() {
        guard let event = held, Monotonic.now().since(lastTime) >= Self.intervalNanoseconds else { return }
        let ready = try? Poll.wait(STDOUT_FILENO, for: .writable, nanoseconds: 0)
        guard ready?.contains(.writable) == true else { return }
        held = nil
        lastTime = .now()
        write(event)
    }

    private func write(_ event: PullEvent) {
        lastKind = event.kind
        let output = Descriptor(owning: STDOUT_FILENO)
        // A reader that has gone ends the process by standard input, too.
        try? output.writeAll(Array((event.json + "\n").utf8))
        _ = output.release()
    }
}

/// The first line of standard input.
func readRequest() -> [UInt8] {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while line.count < PullRequest.bytesMax, read(STDIN_FILENO, &byte, 1) == 1, byte != UInt8(ascii: "\n") {
        line.append(byte)
    }
    return line
}

/// This process's environment (proc(5)), without Foundation, whose only use this would be.
func readEnvironment() throws(LinuxError) -> [String: String] {
    let bytes = try FileBytes.readPseudo("/proc/self/environ", max: 8 << 20)
    var variables: [String: String] = [:]
    for entry in bytes.split(separator: 0) {
        let parts = entry.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { continue }
        // As getenv(3), the first of a name counts.
        let name = String(decoding: parts[0], as: UTF8.self)
        if variables[name] == nil { variables[name] = String(decoding: parts[1], as: UTF8.self) }
    }
    return variables
}

// Before any other thread starts.
TerminationSignals.block()
let writer = EventWriter()
do {
    let request: PullRequest
    let environment: [String: String]
    do {
        request = try PullRequest(json: readRequest())
        environment = try readEnvironment()
        try Interruption.watch()
    } catch {
        throw PullFailure(.usage, "hearth-pull is started by hearth, which tells it what to do: \(error)")
    }
    let pulling = try ModelPulling(request, environment: environment) {
        writer.take($0)
    } whileWaiting: {
        writer.tellHeld()
    }
    writer.take(try pulling.run())
} catch let failure as PullFailure {
    writer.take(PullEvent(failure))
    exit(failure.kind.rawValue)
}
