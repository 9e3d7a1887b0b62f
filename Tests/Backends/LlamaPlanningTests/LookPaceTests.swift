import LlamaPlanning
import Testing

struct LookPaceTests {
    @Test func `the first text is looked at, and all text while looks cost nothing`() {
        var pace = LookPace()
        for moment: UInt64 in 0..<5 {
            let isDue = pace.came(bytes: 1, atNanoseconds: moment)
            #expect(isDue)
            pace.looked(fromNanoseconds: moment, toNanoseconds: moment)
        }
    }

    @Test func `a look that took long is followed by a pause of twenty times as long`() {
        var pace = LookPace()
        pace.looked(fromNanoseconds: 1_000, toNanoseconds: 1_100)
        for (moment, expected): (UInt64, Bool) in [(1_101, false), (3_099, false), (3_100, true)] {
            let isDue = pace.came(bytes: 1, atNanoseconds: moment)
            #expect(isDue == expected)
        }
    }

    @Test func `no more than 256 bytes wait, however long a look takes`() {
        var pace = LookPace()
        pace.looked(fromNanoseconds: 0, toNanoseconds: 1_000_000)
        let (before, after) = (
            pace.came(bytes: 255, atNanoseconds: 1_000_001), pace.came(bytes: 1, atNanoseconds: 1_000_002)
        )
        #expect(!before && after)
        pace.looked(fromNanoseconds: 1_000_003, toNanoseconds: 2_000_000)
        let next = pace.came(bytes: 1, atNanoseconds: 2_000_001)
        #expect(!next)
    }
}
