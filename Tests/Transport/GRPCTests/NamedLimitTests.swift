import HTTP2Connection
import Testing

@testable import GRPC

struct NamedLimitTests {
    @Test("Every limit of a server is named, with its value and what it means")
    func complete() {
        let named = Limits().named
        let names = named.map(\.name)
        #expect(Set(names).count == names.count)
        let properties = [Mirror(reflecting: Limits()), Mirror(reflecting: HTTP2Limits())].flatMap(\.children)
        for property in properties {
            guard let name = property.label, let value = property.value as? any BinaryInteger else { continue }
            #expect(named.first { $0.name == name }?.value == UInt64(clamping: value), "\(name)")
        }
        #expect(named.allSatisfy { $0.meaning.hasSuffix(".") })
    }

    @Test("Whatever ends a connection is counted")
    func counted() {
        let counted = Set(Limits().named.filter(\.isCounted).map(\.name))
        for name in HTTP2Limits.Name.allCases { #expect(counted.contains(name.rawValue), "\(name)") }
    }

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

    @Test("A status that a limit made names it, in words and for programs")
    func status() {
        let status = Status.limitMet("messageBytesMax", "too long", subject: "message")
        #expect(status.code == .resourceExhausted)
        #expect(status.message.contains("messageBytesMax"))
        #expect(status.limit == "messageBytesMax")
        #expect(Status(.resourceExhausted, "messageBytesMax: no").limit == nil)
        #expect(Status(.internalError, "", details: status.details).limit == nil)
        #expect(Status(.resourceExhausted, "", details: [.retry(afterMilliseconds: 1)]).limit == nil)
    }
}
