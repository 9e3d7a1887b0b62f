import Testing

@testable import ModelPull

struct PullMessageTests {
    @Test func `a request arrives as it was sent`() throws {
        let request = PullRequest(
            source: "h.example/\"x\\\u{1}é", sha256: "00", id: "a:b", folder: "/srv/models\n")
        #expect(try PullRequest(json: Array(request.json.utf8)) == request)
        #expect(!request.json.contains("\n"))
        #expect(throws: (any Error).self) {
            try PullRequest(json: Array("{\"source\":\"x\",\"folder\":\"/\",\"mode\":1}".utf8))
        }
    }

    @Test func `an event arrives as it was sent, and its line is bounded whatever its text`() throws {
        var event = PullEvent(.done, "x\ny", done: 1, total: .max)
        (event.model, event.name, event.code) = ("fox:q4_0", "fox", 75)
        #expect(try PullEvent(json: Array(event.json.utf8)) == event)
        for piece in ["\u{1}", "\"", "é", "👩‍👩‍👧‍👦", "x"] {
            let long = PullEvent(.note, String(repeating: piece, count: 10_000))
            #expect(long.json.utf8.count < PullEvent.lineBytesMax)
            #expect(
                long.text.unicodeScalars.starts(with: try PullEvent(json: Array(long.json.utf8)).text.unicodeScalars))
        }
        #expect(throws: (any Error).self) { try PullEvent(json: Array("{\"event\":\"what\"}".utf8)) }
    }
}
