import Foundation
import LinuxSystem
import Testing

@testable import BackendSupervisor

@Suite("SharedFraming")
struct SharedFramingTests {
    private func left(in framing: SharedFraming) -> (unread: [UInt8], embeds: Set<UInt32>)? {
        SharedFraming.left(in: framing.memory)
    }

    private func end(_ framing: SharedFraming, _ unread: [UInt8], embeds: Set<UInt32> = []) {
        unread.withUnsafeBytes { framing.end(unread: $0, embeds: embeds) }
    }

    @Test("what was left is found, and nothing while something is under way")
    func marks() throws {
        let framing = try SharedFraming()
        #expect(left(in: framing) == nil, "it is made during a read")
        end(framing, [])
        #expect(left(in: framing)?.unread == [])
        framing.begin()
        #expect(left(in: framing) == nil)
        let unread = [UInt8](repeating: 7, count: 1 << 20)
        end(framing, unread, embeds: [1, 1 << 31])
        #expect(left(in: framing)?.unread == unread)
        #expect(left(in: framing)?.embeds == [1, 1 << 31])
        framing.begin()
        end(framing, [UInt8](repeating: 7, count: 2 << 20))
        #expect(left(in: framing) == nil, "what has no room is not known")
        framing.begin()
        end(framing, [1, 2])
        #expect(left(in: framing)?.unread == [1, 2])
        #expect(left(in: framing)?.embeds == [])
        SharedFraming.outdate(framing.memory)
        #expect(left(in: framing) == nil, "another agent goes on with the backend")
    }

    @Test("whatever the memory holds, however long it is, nothing is made of numbers that cannot be")
    func garbage() throws {
        let framing = try SharedFraming()
        end(framing, [1, 2, 3])
        for (place, value) in [(0, 2), (1, 2), (2, UInt32.max), (3, 9)] as [(Int, UInt32)] {
            let memory = framing.memory.raw
            var (before, after) = (UInt32(0), value)
            #expect(pread(memory, &before, 4, off_t(4 * place)) == 4)
            #expect(pwrite(memory, &after, 4, off_t(4 * place)) == 4)
            #expect(left(in: framing) == nil, "\(place)")
            #expect(pwrite(memory, &before, 4, off_t(4 * place)) == 4)
        }
        #expect(left(in: framing)?.unread == [1, 2, 3])
        let short = try Descriptor.memoryFile("short")
        try short.writeAll([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(SharedFraming.left(in: short) == nil)
        // A length that the file does not have.
        try short.writeAll([UInt8](repeating: 0, count: 52))
        #expect(SharedFraming.left(in: short) == nil)
        try short.writeAll([9])
        #expect(SharedFraming.left(in: short)?.unread == [9])
    }
}
