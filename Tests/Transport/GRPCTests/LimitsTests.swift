import HTTP2Connection
import LimitDeclaration
import Testing

@testable import GRPC

struct LimitsTests {
    @Test("Whatever ends a connection is counted")
    func counted() {
        let counted = Set(Limits().named.filter(\.isCounted).map(\.name))
        for name in HTTP2Limits.Name.allCases { #expect(counted.contains(name.rawValue), "\(name)") }
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
