import HTTP2Connection
import Testing

@testable import GRPC

struct RequestHeadTests {
    private static func head(
        _ changes: [String: String?] = [:], tooLarge: Bool = false
    ) throws(RequestHead.Rejection) -> RequestHead {
        var fields = [
            ":method": "POST", ":path": "/a.B/C", "content-type": "application/grpc", "te": "trailers",
        ]
        for (name, value) in changes { fields[name] = value ?? "" }
        return try RequestHead(
            fields.map { HTTP2Header($0.key, $0.value) }, tooLarge: tooLarge, limits: HTTP2Limits())
    }

    @Test("A call's path comes apart")
    func path() throws {
        let head = try Self.head(["grpc-timeout": "1S", "x": "y"])
        #expect(head.service == "a.B")
        #expect(head.method == "C")
        #expect(head.timeoutNanoseconds == 1_000_000_000)
        #expect(head.metadata["x"] == "y")
    }

    @Test(
        "Content types of gRPC are accepted",
        arguments: ["application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/GRPC"])
    func accepted(_ type: String) throws {
        _ = try Self.head(["content-type": type])
    }

    @Test(
        "Others are 415", arguments: ["", "text/plain", "application/grpc-web", "application/grpcx", nil] as [String?])
    func refused(_ type: String?) {
        #expect(throws: RequestHead.Rejection.self) { try Self.head(["content-type": type]) }
    }

    @Test("A path that names no method is UNIMPLEMENTED", arguments: ["", "/", "a/b", "/a", "/a/", "//b", "/a/b/c"])
    func paths(_ path: String) {
        #expect {
            try Self.head([":path": path])
        } throws: { error in
            if case .status(let status)? = error as? RequestHead.Rejection {
                status.code == .unimplemented
            } else {
                false
            }
        }
    }

    @Test(
        "Too large a header list is RESOURCE_EXHAUSTED, and says by what",
        arguments: [(0, "headerListBytesMax"), (200, "headerCountMax")])
    func tooLarge(fields: Int, limit: String) {
        // Those beyond the limit are not there.
        let more = (0..<min(fields, HTTP2Limits().headerCountMax - 4)).map { ("x\($0)", "y" as String?) }
        #expect {
            try Self.head(Dictionary(uniqueKeysWithValues: more), tooLarge: true)
        } throws: { error in
            if case .status(let status)? = error as? RequestHead.Rejection {
                status.code == .resourceExhausted && status.limit == limit
            } else {
                false
            }
        }
    }
}
