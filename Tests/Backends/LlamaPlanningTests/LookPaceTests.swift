import LlamaPlanning
import Testing

struct LookPaceTests {
    /// How many bytes come, one at a time, from one look to the next, behind an answer that was looked at.
    private func bytesToNextLook(after seen: Int) -> Int {
        var pace = LookPace()
        _ = pace.came(bytes: seen)
        var bytes = 1
        while !pace.came(bytes: 1) { bytes += 1 }
        return bytes
    }

    @Test func `a short answer is looked at whenever something comes`() {
        #expect(bytesToNextLook(after: 0) == 1)
        #expect(bytesToNextLook(after: 4_095) == 1)
    }

    @Test func `of a long answer so much waits as is a small part of it`() {
        #expect(bytesToNextLook(after: 4_096) == 2)
        #expect(bytesToNextLook(after: 204_800) == 100)
    }

    @Test func `no more than 256 bytes wait, however long the answer is`() {
        #expect(bytesToNextLook(after: 1 << 30) == 256)
    }
}
