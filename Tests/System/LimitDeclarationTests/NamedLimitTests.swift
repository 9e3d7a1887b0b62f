import LimitDeclaration
import Testing

struct NamedLimitTests {
    @Test("A limit's unit is what its name says")
    func units() {
        func unit(_ name: String) -> String { NamedLimit(name, 1, "").unit }
        #expect(unit("headersMilliseconds") == "ms")
        #expect(unit("pingIntervalMillisecondsMin") == "ms")
        #expect(unit("lostPeerSeconds") == "s")
        #expect(unit("messageBytesMax") == "bytes")
        #expect(unit("messageBytesPerConnectionMax") == "bytes")
        #expect(unit("decompressedBytesPerSecondMax") == "bytes per s")
        #expect(unit("prioritiesPerSecondMax") == "per s")
        #expect(unit("connectionsMax") == "")
    }
}
