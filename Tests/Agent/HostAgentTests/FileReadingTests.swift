import Dispatch
import EventLoop
import Foundation
import LinuxSystem
import Synchronization
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(1)))
struct FileReadingTests {
    @IOLoop
    private final class Results {
        private(set) var all: [String] = []
        private var waiters: [(count: Int, CheckedContinuation<Void, Never>)] = []

        nonisolated init() {}

        func add(_ text: String) {
            all.append(text)
            for waiter in waiters where waiter.count <= all.count { waiter.1.resume() }
            waiters.removeAll { $0.count <= all.count }
        }

        func wait(for count: Int) async {
            if all.count >= count { return }
            await withCheckedContinuation { waiters.append((count, $0)) }
        }
    }

    @Test("What is read is read off the loop, and taken over on it")
    func offTheLoop() async {
        let results = Results()
        let reading = await FileReading<String> { { "on the loop: \(IOLoop.shared.executor.isCurrent)" } }
        await IOLoop.run { reading.done = { results.add($0) } }
        await reading.begin()
        await results.wait(for: 1)
        #expect(await results.all == ["on the loop: false"])
    }

    @Test("Asked for many times while one is under way, it reads once more, after it was asked for")
    func again() async {
        let results = Results()
        let gate = DispatchSemaphore(value: 0)
        let count = Counter()
        let reading = await FileReading<String> {
            {
                let number = count.next()
                if number == 1 { gate.wait() }
                return "\(number)"
            }
        }
        await IOLoop.run {
            reading.done = { results.add($0) }
            for _ in 0..<5 { reading.begin() }
        }
        gate.signal()
        await results.wait(for: 2)
        await IOLoop.run { reading.begin() }
        await results.wait(for: 3)
        #expect(await results.all == ["1", "2", "3"])
    }

    @Test("What comes after it was stopped is dropped")
    func stopped() async {
        let results = Results()
        let gate = DispatchSemaphore(value: 0)
        let first = await FileReading<String> {
            {
                gate.wait()
                return "late"
            }
        }
        let second = await FileReading<String> { { "in time" } }
        await IOLoop.run {
            for reading in [first, second] { reading.done = { results.add($0) } }
            first.begin()
            first.stop()
        }
        gate.signal()
        await second.begin()
        await results.wait(for: 1)
        #expect(await results.all == ["in time"])
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)

        func next() -> Int {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }
}

extension IOLoop {
    fileprivate static func run(_ body: @IOLoop @Sendable () -> Void) async { await body() }
}
