import EventLoop
import Glibc
import LinuxSystem
import TestPlaces
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(1)))
struct FileWatchTests {
    @IOLoop
    private final class Changes {
        private(set) var count = 0
        private var waiters: [(Int, CheckedContinuation<Void, Never>)] = []

        nonisolated init() {}

        func add() {
            count += 1
            for waiter in waiters where waiter.0 <= count { waiter.1.resume() }
            waiters.removeAll { $0.0 <= count }
        }

        func wait(for wanted: Int) async {
            if count >= wanted { return }
            await withCheckedContinuation { waiters.append((wanted, $0)) }
        }
    }

    @Test("A file that is written, replaced, removed or could not be taken over is told of")
    func changes() async throws {
        let folder = TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("watched")
        let changes = Changes()
        let watch = await FileWatch([path], everyMilliseconds: 5)
        await IOLoop.run { watch.changed = { changes.add() } }
        try FileBytes.replace(path, with: [1])
        await changes.wait(for: 1)
        try FileBytes.replace(path, with: [2])
        await changes.wait(for: 2)
        let file = try Descriptor.open(path, O_WRONLY)
        try file.writeAll([3, 4])
        await changes.wait(for: 3)
        unlink(path)
        await changes.wait(for: 4)
        await watch.forget()
        await changes.wait(for: 5)
        await watch.stop()
    }
}

extension IOLoop {
    fileprivate static func run(_ body: @IOLoop @Sendable () -> Void) async { await body() }
}
