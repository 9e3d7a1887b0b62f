import HTTPProtocols
import Testing

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
                .pulling(digest: "0123456789abcdef", total: 10, completed: 0),
                #"{"status":"pulling 0123456789ab","digest":"sha256:0123456789abcdef","total":10,"completed":0}"#
            ),
            (
                .pulling(digest: "0123456789abcdef", total: 0, completed: .max),
                #"{"status":"pulling 0123456789ab","digest":"sha256:0123456789abcdef","completed":9223372036854775807}"#
            ),
            (.verifying, #"{"status":"verifying sha256 digest"}"#), (.success, #"{"status":"success"}"#),
        ])
    func progress(step: OllamaPullProgress, text: String) {
        #expect(step.object.text == text)
        #expect(step.line == text + "\n")
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
