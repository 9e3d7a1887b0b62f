import GRPC
import LinuxSystem
import SeededRandom
import Testing

@testable import InferenceService

struct CallerHeapTests {
    private func caller(_ number: UInt64) -> CallerID { .origin(.user(UInt32(number))) }

    private func rank(_ finish: UInt64, _ arrival: UInt64 = 0) -> CallerHeap.Rank {
        .init(finish: finish, arrival: arrival)
    }

    @Test func `the first is the one that finishes first, and of equals the one that came first`() {
        var heap = CallerHeap()
        #expect(heap.first == nil)
        heap.set(caller(1), rank(5, 1))
        heap.set(caller(2), rank(3, 3))
        heap.set(caller(3), rank(3, 2))
        #expect(heap.first == caller(3))
        heap.set(caller(3), rank(9, 2))
        #expect(heap.first == caller(2))
        heap.remove(caller(2))
        heap.remove(caller(2))
        #expect(heap.first == caller(1))
    }

    /// Against a table that is searched.
    @Test func `after any changes it gives them in order`() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<50 {
            var heap = CallerHeap()
            var table: [CallerID: CallerHeap.Rank] = [:]
            for step in 0..<200 as Range<UInt64> {
                let one = caller(.random(in: 0..<40, using: &random))
                if UInt8.random(in: 0..<3, using: &random) == 0 {
                    heap.remove(one)
                    table[one] = nil
                } else {
                    let rank = rank(.random(in: 0..<30, using: &random), step)
                    heap.set(one, rank)
                    table[one] = rank
                }
                #expect(heap.first == table.min { $0.value < $1.value }?.key)
            }
            while let first = heap.first {
                #expect(first == table.min { $0.value < $1.value }?.key)
                heap.remove(first)
                table[first] = nil
            }
            #expect(table.isEmpty)
        }
    }
}
