internal import BaseEncodings
internal import Cryptography
internal import GRPC

/// The turns that can be resumed, by their tokens, and what is kept for each caller and for all together. Pure: its driver
/// (`InferenceService`, and the `Resumption` of each turn) tells what happens to them.
///
/// A turn is found by the SHA-256 of its token, so that the time of a search tells nothing of a token that is almost right,
/// and the digests are compared in constant time. A turn stays until its time is over, until its consumer has
/// acknowledged its end, or until its place is needed after its consumer was sent all of it.
struct ResumableTurns<Turn: AnyObject> {
    /// A turn's place; nothing secret.
    struct Key: Hashable {
        let digest: [UInt8]
    }

    enum Refusal: Error, Equatable {
        case unknown
        /// The turn is another caller's.
        case otherCaller
        /// One of `InferenceLimits` is met, with this value.
        case full(limit: String, value: Int)
        /// The turn does not go on behind the event that its consumer names.
        case reader(TurnReader.Refusal)
    }

    private struct Entry {
        let turn: Turn
        let caller: CallerID
        var byteCount: Int
        /// When its consumer was sent all of it, by `settledCount`; nil: it was not yet.
        var settled: UInt64?
    }

    private struct Use {
        var turns = 0
        var byteCount = 0
        var settled = SettledOrder()
    }

    /// The settled turns in the order in which they were settled. One that is so no more, or anew, is passed over when its
    /// number comes up.
    private struct SettledOrder {
        private var numbers: [(settled: UInt64, key: Key)] = []
        private var start = 0

        /// `count`: how many turns can be in the order.
        mutating func append(_ settled: UInt64, _ key: Key, of count: Int, _ entries: [Key: Entry]) {
            // What is passed over takes no more than what counts.
            if numbers.count >= 2 * count + 16 {
                numbers = numbers[start...].filter { entries[$0.key]?.settled == $0.settled }
                start = 0
            }
            numbers.append((settled, key))
        }

        /// The first one, which stays.
        mutating func first(_ entries: [Key: Entry]) -> Key? {
            while start < numbers.count {
                if entries[numbers[start].key]?.settled == numbers[start].settled { return numbers[start].key }
                start += 1
            }
            return nil
        }

        mutating func popFirst(_ entries: [Key: Entry]) -> Key? {
            guard let key = first(entries) else { return nil }
            start += 1
            return key
        }
    }

    private static var tokenBytes: Int { 24 }

    private let limits: InferenceLimits
    private var entries: [Key: Entry] = [:]
    private var uses: [CallerID: Use] = [:]
    private var total = Use()
    private var settledCount: UInt64 = 0
    /// Those of `total.settled` that `nextToGiveUp` has not named.
    private var givers = SettledOrder()

    init(_ limits: InferenceLimits) { self.limits = limits }

    var count: Int { entries.count }

    /// A new token: 192 random bits in base64url (RFC 4648, section 5).
    static func token() -> String { Base64.encode(SecretBytes.random(tokenBytes), .url) }

    static func key(of token: String) -> Key { Key(digest: Array(token.utf8).withUnsafeBytes { SHA256.digest($0) }) }

    /// Makes room for one more turn, which keeps so many bytes now. Returns the settled turns that have given up their places
    /// for it. Throws which limit is met where these do not suffice.
    mutating func makeRoom(for caller: CallerID, byteCount: Int) throws(Refusal) -> [Turn] {
        var forgotten: [Turn] = []
        while let (refusal, isOfCaller) = refusal(for: caller, byteCount) {
            let oldest = isOfCaller ? uses[caller]?.settled.first(entries) : total.settled.first(entries)
            guard let key = oldest, let entry = entries[key] else { throw refusal }
            forgotten.append(entry.turn)
            remove(key)
        }
        return forgotten
    }

    /// The limit that one more turn would exceed, and whether it is its caller's.
    private func refusal(for caller: CallerID, _ byteCount: Int) -> (Refusal, isOfCaller: Bool)? {
        let own = uses[caller] ?? Use()
        let met: [(name: String, value: Int, isMet: Bool, isOfCaller: Bool)] = [
            ("resumableTurnsOfCallerMax", limits.resumableTurnsOfCallerMax, false, true),
            ("resumableBytesOfCallerMax", limits.resumableBytesOfCallerMax, true, true),
            ("resumableTurnsMax", limits.resumableTurnsMax, false, false),
            ("resumableBytesMax", limits.resumableBytesMax, true, false),
        ].map { name, value, isOfBytes, isOfCaller in
            let use = isOfCaller ? own : total
            return (name, value, isOfBytes ? use.byteCount + byteCount > value : use.turns >= value, isOfCaller)
        }
        return met.first { $0.isMet }.map { (.full(limit: $0.name, value: $0.value), $0.isOfCaller) }
    }

    /// The settled turn whose room in memory that outlives this process another one gets first, each once.
    mutating func nextToGiveUp() -> Turn? { givers.popFirst(entries).flatMap { entries[$0]?.turn } }

    /// Adds a turn, for which there is a place.
    mutating func insert(_ turn: Turn, _ key: Key, of caller: CallerID, byteCount: Int) {
        entries[key] = Entry(turn: turn, caller: caller, byteCount: byteCount)
        change(caller, turns: 1, byteCount: byteCount)
    }

    /// The turn with this token. Throws where there is none, or where it is not this caller's: one that was begun with a
    /// key or a certificate belongs to its holder, and any other to the holder of the token.
    func turn(_ token: String, for caller: CallerID) throws(Refusal) -> Turn {
        let key = Self.key(of: token)
        guard let place = entries.index(forKey: key), SecretBytes.areEqual(entries[place].key.digest, key.digest) else {
            throw .unknown
        }
        let entry = entries[place].value
        guard !entry.caller.isNamed || entry.caller == caller else { throw .otherCaller }
        return entry.turn
    }

    /// The turn at this place, for its own call; nil: there is none any more.
    func turn(_ key: Key) -> Turn? { entries[key]?.turn }

    /// The turn keeps so many bytes now.
    mutating func keeps(_ byteCount: Int, _ key: Key) {
        guard let entry = entries[key], entry.byteCount != byteCount else { return }
        entries[key]?.byteCount = byteCount
        change(entry.caller, turns: 0, byteCount: byteCount - entry.byteCount)
    }

    /// Whether the turn is over and its consumer was sent all of it; each time that it was counts anew.
    mutating func settle(_ key: Key, _ isSettled: Bool) {
        guard let caller = entries[key]?.caller else { return }
        settledCount += 1
        entries[key]?.settled = isSettled ? settledCount : nil
        guard isSettled, let turns = uses[caller]?.turns else { return }
        uses[caller]?.settled.append(settledCount, key, of: turns, entries)
        total.settled.append(settledCount, key, of: entries.count, entries)
        givers.append(settledCount, key, of: entries.count, entries)
    }

    mutating func remove(_ key: Key) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        change(entry.caller, turns: -1, byteCount: -entry.byteCount)
    }

    /// Whether no more should be kept for this caller than is.
    func isFull(for caller: CallerID) -> Bool {
        total.byteCount >= limits.resumableBytesMax
            || uses[caller]?.byteCount ?? 0 >= limits.resumableBytesOfCallerMax
    }

    /// All turns, in no order.
    var all: [Turn] { entries.values.map(\.turn) }

    private mutating func change(_ caller: CallerID, turns: Int, byteCount: Int) {
        total.turns += turns
        total.byteCount += byteCount
        var use = uses[caller] ?? Use()
        use.turns += turns
        use.byteCount += byteCount
        uses[caller] = use.turns > 0 ? use : nil
    }
}
