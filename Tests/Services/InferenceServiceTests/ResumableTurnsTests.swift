import GRPC
import LinuxSystem
import Testing

@testable import InferenceService

struct ResumableTurnsTests {
    private final class Turn {}
    private typealias Turns = ResumableTurns<Turn>

    private let holder = CallerID.key(sha256: [UInt8](repeating: 1, count: 32))
    private let other = CallerID.key(sha256: [UInt8](repeating: 2, count: 32))
    private let somebody = CallerID.origin(.ipv4(1))

    private func turns(_ change: (inout InferenceLimits) -> Void = { _ in }) -> Turns {
        var limits = InferenceLimits()
        change(&limits)
        return Turns(limits)
    }

    /// Makes room, which must not fail, and adds a turn.
    private func add(
        to turns: inout Turns, of caller: CallerID, byteCount: Int = 0
    ) throws -> (turn: Turn, token: String, key: Turns.Key, forgotten: [Turn]) {
        let (turn, token) = (Turn(), Turns.token())
        let forgotten = try turns.makeRoom(for: caller, byteCount: byteCount)
        turns.insert(turn, Turns.key(of: token), of: caller, byteCount: byteCount)
        return (turn, token, Turns.key(of: token), forgotten)
    }

    private func refusal(_ turns: Turns, _ token: String, for caller: CallerID) -> Turns.Refusal? {
        do throws(Turns.Refusal) {
            _ = try turns.turn(token, for: caller)
            return nil
        } catch {
            return error
        }
    }

    private func full(_ turns: inout Turns, for caller: CallerID, byteCount: Int = 0) -> String? {
        do throws(Turns.Refusal) {
            _ = try turns.makeRoom(for: caller, byteCount: byteCount)
            return nil
        } catch {
            guard case .full(let limit, _) = error else { return "\(error)" }
            return limit
        }
    }

    @Test func `tokens have 192 bits and differ`() {
        let tokens = (0..<100).map { _ in Turns.token() }
        #expect(Set(tokens).count == 100)
        #expect(tokens.allSatisfy { $0.utf8.count == 32 })
    }

    @Test func `a turn of a key is its holder's alone, and one of nobody's the holder's of its token`() throws {
        var turns = turns()
        let bound = try add(to: &turns, of: holder)
        let free = try add(to: &turns, of: somebody)
        #expect(try turns.turn(bound.token, for: holder) === bound.turn)
        #expect(refusal(turns, bound.token, for: other) == .otherCaller)
        #expect(refusal(turns, bound.token, for: somebody) == .otherCaller)
        for caller in [holder, somebody, .origin(.ipv4(2)), .origin(.unknown)] {
            #expect(try turns.turn(free.token, for: caller) === free.turn)
        }
    }

    @Test func `a token that is almost right, and one of a turn that is gone, are unknown`() throws {
        var turns = turns()
        let added = try add(to: &turns, of: holder)
        #expect(refusal(turns, String(added.token.dropLast()), for: holder) == .unknown)
        #expect(refusal(turns, added.token + "A", for: holder) == .unknown)
        #expect(refusal(turns, "", for: holder) == .unknown)
        turns.remove(added.key)
        turns.remove(added.key)
        #expect(refusal(turns, added.token, for: holder) == .unknown)
        #expect(turns.count == 0)
    }

    @Test func `one caller has so many, and all together`() throws {
        var turns = turns {
            $0.resumableTurnsOfCallerMax = 2
            $0.resumableTurnsMax = 3
        }
        let first = try add(to: &turns, of: holder)
        _ = try add(to: &turns, of: holder)
        #expect(full(&turns, for: holder) == "resumableTurnsOfCallerMax")
        _ = try add(to: &turns, of: other)
        #expect(full(&turns, for: somebody) == "resumableTurnsMax")
        turns.remove(first.key)
        #expect(full(&turns, for: somebody) == nil)
        #expect(full(&turns, for: holder) == nil)
    }

    @Test func `bytes count, and the requests that they begin with`() throws {
        var turns = turns {
            $0.resumableBytesOfCallerMax = 100
            $0.resumableBytesMax = 150
        }
        let mine = try add(to: &turns, of: holder, byteCount: 60)
        #expect(full(&turns, for: holder, byteCount: 41) == "resumableBytesOfCallerMax")
        #expect(full(&turns, for: holder, byteCount: 40) == nil)
        #expect(!turns.isFull(for: holder))
        turns.keeps(100, mine.key)
        #expect(turns.isFull(for: holder))
        #expect(!turns.isFull(for: other))
        let another = try add(to: &turns, of: other, byteCount: 50)
        #expect(turns.isFull(for: somebody))
        #expect(full(&turns, for: somebody, byteCount: 1) == "resumableBytesMax")
        turns.keeps(0, mine.key)
        turns.remove(another.key)
        #expect(full(&turns, for: holder, byteCount: 100) == nil)
    }

    @Test
    func `what was sent whole gives up its place, the oldest first, and only that of its caller where that is full`()
        throws
    {
        var turns = turns {
            $0.resumableTurnsOfCallerMax = 3
            $0.resumableTurnsMax = 4
        }
        let added = try (0..<3).map { _ in try add(to: &turns, of: holder) }
        let another = try add(to: &turns, of: other)
        for key in [another.key, added[2].key, added[0].key] { turns.settle(key, true) }
        // The caller's own bound is met: not the other caller's, which is older.
        #expect(
            try add(to: &turns, of: holder).forgotten.map(ObjectIdentifier.init) == [ObjectIdentifier(added[2].turn)])
        #expect(refusal(turns, added[2].token, for: holder) == .unknown)
        // All together are too many: the oldest.
        let last = try add(to: &turns, of: somebody)
        #expect(last.forgotten.map(ObjectIdentifier.init) == [ObjectIdentifier(another.turn)])
        turns.settle(added[0].key, false)
        #expect(full(&turns, for: somebody) == "resumableTurnsMax")
        #expect(turns.count == 4)
    }

    @Test func `a turn that is read again counts as settled when it is so again, however often`() throws {
        var turns = turns { $0.resumableTurnsOfCallerMax = 2 }
        let added = try (0..<2).map { _ in try add(to: &turns, of: holder) }
        for turn in added { turns.settle(turn.key, true) }
        for _ in 0..<1_000 {
            turns.settle(added[0].key, false)
            turns.settle(added[0].key, true)
        }
        #expect(
            try add(to: &turns, of: holder).forgotten.map(ObjectIdentifier.init) == [ObjectIdentifier(added[1].turn)])
        #expect(try turns.turn(added[0].token, for: holder) === added[0].turn)
        turns.settle(added[0].key, false)
        #expect(full(&turns, for: holder) == "resumableTurnsOfCallerMax")
    }

    @Test func `settled turns give up their memory in their order, each once, and those that are read again do not`()
        throws
    {
        var turns = turns()
        let added = try (0..<4).map { _ in try add(to: &turns, of: holder) }
        #expect(turns.nextToGiveUp() == nil)
        for index in [2, 0, 1] { turns.settle(added[index].key, true) }
        #expect(turns.nextToGiveUp() === added[2].turn)
        turns.settle(added[0].key, false)
        turns.remove(added[3].key)
        #expect(turns.nextToGiveUp() === added[1].turn)
        #expect(turns.nextToGiveUp() == nil)
        turns.settle(added[0].key, true)
        #expect(turns.nextToGiveUp() === added[0].turn)
    }
}
