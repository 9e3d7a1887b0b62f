import HTTPProtocols
import LinuxSystem
import Testing

struct KeepAliveTests {
    private let start = Monotonic(nanoseconds: 5_000_000)

    private func after(_ milliseconds: UInt64) -> Monotonic { start.advanced(milliseconds: milliseconds) }

    @Test(
        "a stream that is silent sends a comment every 15 s, and none before",
        arguments: [HTTPDialect.openAI, .anthropic])
    func silent(dialect: HTTPDialect) {
        var alive = KeepAlive(dialect, streams: true, at: start)
        #expect(alive.wait(at: start) == 15_000)
        #expect(alive.wait(at: after(14_999)) == 1)
        #expect(alive.due(at: after(14_999)) == nil)
        #expect(alive.wait(at: after(20_000)) == 0)
        #expect(alive.due(at: after(20_000)) == ": keep-alive\n\n")
        #expect(alive.due(at: after(20_000)) == nil)
        #expect(alive.wait(at: after(20_000)) == 15_000)
        #expect(alive.due(at: after(35_000)) != nil)
    }

    @Test("what is sent puts the comment off")
    func sending() {
        var alive = KeepAlive(.openAI, streams: true, at: start)
        alive.sent(at: after(14_000))
        #expect(alive.due(at: after(20_000)) == nil)
        #expect(alive.wait(at: after(20_000)) == 9_000)
        #expect(alive.due(at: after(29_000)) != nil)
    }

    @Test("lines of JSON and whole answers have no comments")
    func never() {
        for var alive in [KeepAlive(.ollama, streams: true, at: start), KeepAlive(.openAI, streams: false, at: start)] {
            #expect(alive.wait(at: start) == nil)
            #expect(alive.wait(at: after(100_000)) == nil)
            #expect(alive.due(at: after(100_000)) == nil)
        }
    }
}
