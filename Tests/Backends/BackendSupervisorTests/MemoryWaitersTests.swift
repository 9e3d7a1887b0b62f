import Testing

@testable import BackendSupervisor

struct MemoryWaitersTests {
    @Test func `those that others are to make room for come first, and none waits any more`() {
        var waiters = MemoryWaiters()
        waiters.wait("c")
        waiters.wait("b", isShort: true)
        waiters.wait("a")
        waiters.wait("d", isShort: true)
        #expect(waiters.areShort)
        let all = waiters.takeAll()
        #expect(all == ["b", "d", "a", "c"] && waiters == MemoryWaiters() && !waiters.areShort)
    }

    @Test func `a model that tries again waits on, and nobody makes room for it`() {
        var waiters = MemoryWaiters()
        waiters.wait("a", isShort: true)
        waiters.triesAgain("a")
        #expect(!waiters.areShort)
        let all = waiters.takeAll()
        #expect(all == ["a"])
    }

    @Test func `a model that is short waits once`() {
        var waiters = MemoryWaiters()
        waiters.wait("a", isShort: true)
        waiters.wait("a")
        #expect(waiters.areShort)
        let all = waiters.takeAll()
        #expect(all == ["a"])
    }
}
