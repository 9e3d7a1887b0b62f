import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct PullAnswerTests {
    private let downloading = Hearth_Admin_V1_PullProgress.with {
        $0.event = "downloading"
        $0.doneBytes = 1
    }
    private let line =
        #"{"event":"downloading","text":"","done_bytes":1,"total_bytes":0,"model":"","name":"","exit_code":0}"#

    @Test func `a line is an object, and an event is one where the client asks for events`() throws {
        var lines = OwnerPullAnswer(accept: nil)
        #expect(lines.mediaType == "application/x-ndjson")
        #expect(try lines.receive(downloading) == line + "\n")
        var events = OwnerPullAnswer(accept: "text/html, Text/Event-Stream;q=0.9")
        #expect(events.mediaType == "text/event-stream")
        #expect(try events.receive(downloading) == "data: \(line)\n\n")
        let failure = HTTPFailure(503, type: "server_error", "gone")
        #expect(lines.failed(failure) == #"{"error":{"code":503,"message":"gone","status":"UNAVAILABLE"}}"# + "\n")
        #expect(
            events.failed(failure)
                == "event: error\ndata: " + #"{"error":{"code":503,"message":"gone","status":"UNAVAILABLE"}}"# + "\n\n")
    }

    @Test(arguments: ["done", "failed"])
    func `it is whole once the pull has said how it ended`(event: String) throws {
        var answer = OwnerPullAnswer(accept: "*/*")
        _ = try answer.receive(downloading)
        #expect(!answer.isComplete)
        _ = try answer.receive(.with { $0.event = event })
        #expect(answer.isComplete)
    }
}
