import BaseEncodings
import Foundation
import Testing

/// A small part of what `Scripts/fuzz` does, with the same targets, the same every time.
struct MutationTests {
    private static let casesPerTarget = 1_000
    /// A session is a connection.
    private static let sessions = 400

    @Test(arguments: FuzzTarget.allCases)
    func `every seed keeps what is promised`(target: FuzzTarget) async throws {
        try await Self.onThreadOfItsOwn {
            for seed in target.seeds { try target.run(seed) }
        }
    }

    @Test(arguments: FuzzTarget.allCases, [1, 2] as [UInt64])
    func `changed inputs keep what is promised`(target: FuzzTarget, seed: UInt64) async throws {
        try await Self.onThreadOfItsOwn { try Self.runChanged(target, seed) }
    }

    /// A target blocks its thread until a server has answered, whose handlers run on the few threads of Swift's tasks.
    private static func onThreadOfItsOwn(_ body: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            Thread.detachNewThread { done.resume(with: Result(catching: body)) }
        }
    }

    private static func runChanged(_ target: FuzzTarget, _ seed: UInt64) throws {
        var mutator = Mutator(seed: seed)
        let seeds = target.seeds
        // Where a trap leaves what it was at: `Scripts/fuzz TARGET FILE` runs it again.
        let last = URL(filePath: NSTemporaryDirectory()).appending(
            path: "hearth-mutation-\(target)-\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: last) }
        for number in 0..<(target == .connection ? sessions : casesPerTarget) {
            let input = mutator.changed(seeds[number % seeds.count], seeds)
            try Data(input).write(to: last)
            do {
                try target.run(input)
            } catch {
                throw BrokenPromise(
                    description: "\(error); target \(target), seed \(seed), case \(number), "
                        + "input \(hexadecimal(input))")
            }
        }
    }
}
