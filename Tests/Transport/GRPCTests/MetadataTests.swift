import HTTP2Connection
import Testing

@testable import GRPC

struct MetadataTests {
    @Test("Text and bytes survive the way to a header list and back")
    func roundTrip() throws {
        var metadata = Metadata()
        try metadata.add("authorization", "Bearer ~ x,y;z")
        try metadata.add("trace-bin", binary: [])
        try metadata.add("trace-bin", binary: Array(0...255))
        try metadata.add("empty", "")
        #expect(try Metadata(headers: metadata.headers) == metadata)
        #expect(metadata["authorization"] == "Bearer ~ x,y;z")
        #expect(metadata.binary("trace-bin") == [])
        #expect(metadata["none"] == nil)
    }

    @Test(
        "Keys that cannot travel are refused",
        arguments: ["", "Upper", "a b", "grpc-status", ":path", "content-type", "te", "ümlaut", "x-bin", "a\n"])
    func keys(_ key: String) {
        var metadata = Metadata()
        #expect(throws: Status.self) { try metadata.add(key, "value") }
    }

    @Test("Values that are not printable ASCII are refused", arguments: ["a\nb", "ü", "\u{7f}", "\0"])
    func values(_ value: String) {
        var metadata = Metadata()
        #expect(throws: Status.self) { try metadata.add("key", value) }
        #expect(throws: Status.self) { try Metadata(headers: [HTTP2Header("key", value)]) }
    }

    @Test("Bytes under a key for text are refused")
    func binaryKey() {
        var metadata = Metadata()
        #expect(throws: Status.self) { try metadata.add("key", binary: [1]) }
    }

    @Test("Joined binary values come apart, padded or not")
    func joined() throws {
        let metadata = try Metadata(headers: [HTTP2Header("x-bin", "AQ==, Ag,AwQ=")])
        #expect(metadata.entries.map(\.value) == [.binary([1]), .binary([2]), .binary([3, 4])])
    }

    @Test("No more values than a header list may have fields, though each comma makes one")
    func manyValues() throws {
        let most = HTTP2Limits().headerCountMax
        let fitting = HTTP2Header("x-bin", String(repeating: ",", count: most - 1))
        #expect(try Metadata(headers: [fitting]).entries.count == most)
        for extra in [[HTTP2Header("y-bin", "AQ")], [HTTP2Header("y-bin", String(repeating: ",", count: 4_000))]] {
            do {
                _ = try Metadata(headers: [fitting] + extra)
                Issue.record("more values than there may be were taken")
            } catch {
                #expect(error.code == .resourceExhausted)
            }
        }
    }

    @Test("What belongs to the protocol is not metadata")
    func reserved() throws {
        let headers = [
            HTTP2Header(":path", "/x"), HTTP2Header("te", "trailers"), HTTP2Header("grpc-timeout", "1S"),
            HTTP2Header("content-type", "application/grpc"), HTTP2Header("user-agent", "x"),
            HTTP2Header("grpc-status-details-bin", "AQ"),
        ]
        #expect(try Metadata(headers: headers).entries.map(\.key) == ["user-agent", "grpc-status-details-bin"])
    }
}
