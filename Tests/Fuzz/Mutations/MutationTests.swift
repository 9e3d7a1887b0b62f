import Foundation
import Testing

/// A small part of what `Scripts/fuzz` does, with the same targets, the same every time.
struct MutationTests {
    private static let casesPerTarget = 1_000
    /// A session is a connection.
    private static let sessions = 400

    @Test(arguments: FuzzTarget.allCases)
    func `every seed keeps what is promised`(target: FuzzTarget) throws {
        for seed in target.seeds { try target.run(seed) }
    }

    @Test(arguments: FuzzTarget.allCases, [1, 2] as [UInt64])
    func `changed inputs keep what is promised`(target: FuzzTarget, seed: UInt64) throws {
        var mutator = Mutator(seed: seed)
        let seeds = target.seeds
        // Where a trap leaves what it was at: `Scripts/fuzz TARGET FILE` runs it again.
        let last = URL(filePath: NSTemporaryDirectory()).appending(
            path: "hearth-mutation-\(target)-\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: last) }
        for number in 0..<(target == .connection ? Self.sessions : Self.casesPerTarget) {
            let input = mutator.changed(seeds[number % seeds.count], seeds)
            try Data(input).write(to: last)
            do {
                try target.run(input)
            } catch {
                let hexadecimal = input.map { String(format: "%02x", $0) }.joined()
                Issue.record("\(error); target \(target), seed \(seed), case \(number), input \(hexadecimal)")
                return
            }
        }
    }
}
