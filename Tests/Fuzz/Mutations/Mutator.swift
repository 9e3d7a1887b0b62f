import SeededRandom

/// Changes inputs as fuzzers do, the same for the same seed.
struct Mutator {
    private var random: SeededRandom
    private static let notable: [UInt8] = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x25, 0x2c]

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    private mutating func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(max(bound, 1))) }

    /// One to eight changes; others to take pieces from.
    mutating func changed(_ input: [UInt8], _ others: [[UInt8]]) -> [UInt8] {
        var input = input
        for _ in 0...draw(8) {
            let place = draw(input.count)
            let range = place..<min(place + 1 + draw(8), input.count)
            switch draw(7) {
            case 0 where !input.isEmpty: input[place] ^= 1 << UInt8(draw(8))
            case 1 where !input.isEmpty: input[place] = UInt8(draw(256))
            case 2 where !input.isEmpty: input[place] = Self.notable[draw(Self.notable.count)]
            case 3 where !range.isEmpty: input.removeSubrange(range)
            case 4 where !range.isEmpty: input.insert(contentsOf: input[range], at: place)
            case 5: input = Array(input.prefix(place))
            default:
                let other = others[draw(others.count)]
                let start = draw(other.count)
                input.insert(contentsOf: other[start..<min(start + 1 + draw(64), other.count)], at: place)
            }
        }
        return input
    }
}
