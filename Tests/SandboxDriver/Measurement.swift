internal import BackendSupervisor
internal import Glibc
internal import LinuxSystem

/// How long it takes from a start to the first byte that the started program writes.
struct Measurement {
    private var microseconds: [Double] = []

    /// One start: `body` starts it and returns once the first byte has come.
    mutating func time<Started: ~Copyable>(_ body: () throws -> Started) rethrows -> Started {
        let before = Monotonic.now()
        let started = try body()
        microseconds.append(Double(Monotonic.now().since(before)) / 1000)
        return started
    }

    func report(_ name: String) {
        let sorted = microseconds.sorted()
        func percentile(_ share: Double) -> Int { Int(sorted[Int(Double(sorted.count - 1) * share)]) }
        say("\(name): best \(percentile(0)) µs, median \(percentile(0.5)) µs, p90 \(percentile(0.9)) µs")
    }
}

/// A program started as it is, with its output in a pipe.
struct BareProcess: ~Copyable {
    let process: ProcessHandle
    let output: Descriptor

    init(_ words: [String]) throws {
        let log = try Descriptor.pipe()
        let null = try Descriptor.open("/dev/null", O_RDONLY)
        let started = try ProcessSpawn.spawn(
            words[0], arguments: words, environment: [], descriptors: [null.raw, log.second.raw, log.second.raw])
        process = try ProcessHandle(child: started)
        output = log.takeFirst()
    }

    /// Kills it and waits until it is gone.
    consuming func end() {
        process.kill()
        _ = process.waitForExit()
    }
}

/// Waits for the first byte.
func awaitByte(_ descriptor: CInt) throws {
    var byte: UInt8 = 0
    try checked("read the first byte") { read(descriptor, &byte, 1) }
}
