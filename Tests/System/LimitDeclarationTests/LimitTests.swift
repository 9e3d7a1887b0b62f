import LimitDeclaration
import Testing

struct LimitTests {
    private struct Inner: LimitGroup {
        @Limit("Inner things.") var thingsMax: UInt32 = 3
    }

    private struct Outer: LimitGroup {
        @Limit("For an answer; then it is given up.", counted: true) var answerMilliseconds: UInt64 = 20
        var inner = Inner()
        @Limit("Of one of them.") var bytesMax = 1 << 10
    }

    @Test func `a group names its limits as they are declared, with what is in force`() {
        var limits = Outer()
        limits.inner.thingsMax = 5
        #expect(
            limits.named == [
                NamedLimit("answerMilliseconds", 20, counted: true, "For an answer; then it is given up."),
                NamedLimit("thingsMax", 5, "Inner things."), NamedLimit("bytesMax", 1_024, "Of one of them."),
            ])
    }

    @Test func `a limit that is changed is the same limit with another value`() {
        var limits = Outer()
        limits.answerMilliseconds = .max
        limits.bytesMax = -1
        #expect(limits.answerMilliseconds == .max)
        #expect(limits.named.map(\.value) == [.max, 3, 0])
        #expect(limits.named.map(\.isCounted) == [true, false, false])
    }
}
