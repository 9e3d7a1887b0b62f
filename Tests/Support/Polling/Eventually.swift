internal import Glibc

/// Whether a condition comes to hold within this many seconds. It is for changes without an event, such as the end of a
/// process that init reaps. A test asserts the result, and never how long it took.
package func eventually(
    within seconds: Int = 30, isolation: isolated (any Actor)? = #isolation, _ condition: () throws -> Bool
) async throws -> Bool {
    var pauses = Pauses(seconds: seconds)
    while try !condition() {
        guard let pause = pauses.next() else { return false }
        try await Task.sleep(for: .microseconds(pause))
    }
    return true
}

/// The same, blocking its thread.
package func eventuallyBlocking(within seconds: Int = 30, _ condition: () throws -> Bool) rethrows -> Bool {
    var pauses = Pauses(seconds: seconds)
    while try !condition() {
        guard let pause = pauses.next() else { return false }
        usleep(pause)
    }
    return true
}

/// The times to wait between two checks, in microseconds: short ones first, and none once the time is over.
private struct Pauses: IteratorProtocol {
    private let deadline: ContinuousClock.Instant
    private var pause: UInt32 = 100

    init(seconds: Int) { deadline = .now + .seconds(seconds) }

    mutating func next() -> UInt32? {
        guard ContinuousClock.now < deadline else { return nil }
        defer { pause = min(pause * 2, 10_000) }
        return pause
    }
}
