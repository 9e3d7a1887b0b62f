import InferenceMessages
import SwiftProtobuf
import Testing

@testable import HTTPProtocols

struct OllamaPullTests {
    @Test func `a pull names a model, whose tag stays`() throws {
        let request = try OllamaPullRequest(
            Array(#"{"model": "smollm2:latest", "insecure": false, "username": "", "password": ""}"#.utf8))
        #expect(request.model == "smollm2:latest")
        #expect(request.streams)
        let older = try OllamaPullRequest(Array(#"{"name": "smollm2", "stream": false}"#.utf8))
        #expect(older.model == "smollm2")
        #expect(!older.streams)
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            ("{}", "model"), (#"{"model": ""}"#, "model"), (#"{"model": "a", "name": "b"}"#, "name"),
            (#"{"model": "a", "insecure": true}"#, "insecure"), (#"{"model": "a", "username": "u"}"#, "username"),
            (#"{"model": "a", "password": "p"}"#, "password"), (#"{"model": "a", "stream": 1}"#, "stream"),
            (#"{"model": "a", "colour": 1}"#, "colour"),
        ])
    func refusals(body: String, param: String) {
        let failure = #expect(throws: HTTPFailure.self) { try OllamaPullRequest(Array(body.utf8)) }
        #expect(failure?.statusCode == 400)
        #expect(failure?.param == param)
    }

    @Test(
        "how a pull gets on is a line each time",
        arguments: [
            (OllamaPullProgress.manifest, #"{"status":"pulling manifest"}"#),
            (
                .pulling(name: "a.gguf", total: 10, completed: 0),
                #"{"status":"pulling a.gguf","total":10,"completed":0}"#
            ),
            (
                .pulling(name: "a.gguf", total: 0, completed: .max),
                #"{"status":"pulling a.gguf","completed":9223372036854775807}"#
            ),
            (.verifying, #"{"status":"verifying sha256 digest"}"#), (.success, #"{"status":"success"}"#),
        ])
    func progress(step: OllamaPullProgress, text: String) {
        #expect(step.object.text == text)
    }

    @Test func `what the agent says becomes lines, and success is the last of a model that is lent`() throws {
        var answer = OllamaPullAnswer(try OllamaPullRequest(Array(#"{"model": "host/fox"}"#.utf8)))
        func line(_ event: String, _ text: String = "", done: UInt64 = 0, total: UInt64 = 0) throws
            -> OllamaPullProgress?
        {
            try answer.progress(
                .with {
                    $0.event = event
                    $0.text = text
                    $0.doneBytes = done
                    $0.totalBytes = total
                })
        }
        #expect(try line("resolving", "host/fox") == .manifest)
        #expect(try line("downloading", done: 1, total: 3) == .pulling(name: "host/fox", total: 3, completed: 1))
        #expect(try line("licence", "The Fox Licence") == nil)
        #expect(try line("found", "fox.gguf", total: 3) == .pulling(name: "fox.gguf", total: 3, completed: 0))
        #expect(try line("downloading", done: 2, total: 3) == .pulling(name: "fox.gguf", total: 3, completed: 2))
        #expect(try line("verifying", done: 3, total: 3) == .verifying)
        #expect(try line("note", "a remark") == nil)
        #expect(!answer.isComplete)
        #expect(try line("done") == .success)
        #expect(answer.isComplete)
    }

    @Test(
        "a pull that failed says whether the same may go another time",
        arguments: [(UInt32(75), 503), (1, 400), (64, 400)])
    func failed(exitCode: UInt32, statusCode: Int) throws {
        var answer = OllamaPullAnswer(try OllamaPullRequest(Array(#"{"model": "host/fox"}"#.utf8)))
        let failure = #expect(throws: HTTPFailure.self) {
            try answer.receive(
                .with {
                    $0.event = "failed"
                    $0.text = "why"
                    $0.exitCode = exitCode
                })
        }
        #expect(failure?.statusCode == statusCode)
        #expect(failure?.message == "why")
        #expect(!answer.isComplete)
    }

    @Test(
        "what changes a host's models is refused with words",
        arguments: ["/api/create", "/api/push", "/api/copy", "/api/delete", "/api/blobs/sha256:00"])
    func owners(path: String) throws {
        let failure = try #require(OllamaRefusals.failure(path: path))
        #expect(failure.statusCode == 403)
        #expect(failure.message.contains("is not served here: "))
        #expect(HTTPDialect.ollama.body(failure).text.hasPrefix(#"{"error":"/api/"#))
    }

    @Test(
        "nothing else is",
        arguments: ["/api/chat", "/api/pull", "/api", "/api/", "", "/", "/v1/copy", "api/copy", "/x/api/copy", "/copy"])
    func others(path: String) { #expect(OllamaRefusals.failure(path: path) == nil) }
}
