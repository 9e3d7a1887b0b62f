import Foundation

// A backend as Swift authors write them: Foundation, tasks, timers, and reading the files that it was given. Prints a line
// for each thing that works, and one for each that the sandbox refuses. Its policy is swift-runtime.
//
// Takes no arguments: the runtime would read them from /proc, which a sandbox does not have. It reads the time zones that
// it may be given.

let folder = "/usr/share/zoneinfo"

/// Tries what no policy for a runtime may allow.
func refusals() {
    let acts: [(name: String, act: () -> Int32)] = [
        ("fork", { forkOnce() }), ("socket", { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }),
        ("create", { open(folder + "/new", O_WRONLY | O_CREAT, 0o600) }),
        ("write", { open(folder + "/Etc/UTC", O_RDWR) }), ("signal", { kill(1, 0) }),
        ("passwd", { open("/etc/passwd", O_RDONLY) }),
    ]
    for (name, act) in acts { say(act() == -1 ? "refused \(name)" : "did \(name)") }
}

/// A child that ends at once, where there may be one.
func forkOnce() -> Int32 {
    let child = fork()
    if child == 0 { _exit(0) }
    return child
}

/// Unbuffered, so that what was said before a crash is there.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

do {
    let zone = try Data(contentsOf: URL(fileURLWithPath: folder + "/Etc/UTC"))
    say("read \(String(decoding: zone.prefix(4), as: UTF8.self))")
    say("listed \(try FileManager.default.contentsOfDirectory(atPath: folder).contains("Etc"))")
    let size = try FileManager.default.attributesOfItem(atPath: folder + "/Etc/UTC")[.size] as? Int
    say("size \(size == zone.count)")
} catch {
    say("cannot read: \(error)")
    exit(1)
}
var calendar = Calendar(identifier: .gregorian)
calendar.timeZone = TimeZone(identifier: "Europe/Berlin") ?? .gmt
let new = calendar.date(from: DateComponents(year: 2024, month: 1, day: 1)) ?? .distantPast
say("zone \(ISO8601DateFormatter().string(from: new))")
say("json \(String(decoding: try JSONEncoder().encode(["a": [1, 2]]), as: UTF8.self))")
say("processors \(ProcessInfo.processInfo.activeProcessorCount > 0)")
let sum = await withTaskGroup(of: Int.self) { group in
    for number in 0..<20 {
        group.addTask {
            try? await Task.sleep(for: .milliseconds(1))
            return number
        }
    }
    var sum = 0
    for await number in group { sum += number }
    return sum
}
say("tasks \(sum)")
let timer = DispatchSource.makeTimerSource()
await withCheckedContinuation { continuation in
    timer.schedule(deadline: .now() + .milliseconds(5))
    timer.setEventHandler {
        timer.cancel()
        continuation.resume()
    }
    timer.activate()
}
say("timer fired")
refusals()
say("done")
