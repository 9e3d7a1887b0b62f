import InferenceMessages
import SwiftProtobuf
import Testing

@testable import HTTPProtocols

struct OwnerCallTests {
    private func call(
        _ verb: String, _ path: String, query: String? = nil, _ body: String = ""
    ) throws -> OwnerCall {
        let (endpoint, values) = try OwnerEndpoint.find(verb, path)
        return try OwnerCall(endpoint, path: values, query: query, body: Array(body.utf8))
    }

    @Test func `values of path, query and body become the call's request`() throws {
        let log = try call(
            "GET", "/hearth/v1/logs/echo",
            query: "model=a%20b%2B+c&after=18446744073709551615&log=9007199254740993&replica=2")
        #expect(
            try Hearth_Admin_V1_ReadLogRequest(serializedBytes: log.request)
                == .with {
                    $0.backend = "echo"
                    $0.model = "a b+ c"
                    $0.after = .max
                    $0.log = 9_007_199_254_740_993
                    $0.replica = 2
                })
        let key = try call(
            "POST", "/hearth/v1/keys",
            #"{"name": "k", "expires_in_seconds": "60", "streams": 2, "tokens_per_minute": null, "models": ["a", "ü"]}"#
        )
        #expect(
            try Hearth_Admin_V1_CreateKeyRequest(serializedBytes: key.request)
                == .with {
                    $0.name = "k"
                    $0.expiresInSeconds = 60
                    $0.streams = 2
                    $0.models = ["a", "ü"]
                })
        let restart = try call("POST", "/hearth/v1/backends/echo/restart", #"{"now": true}"#)
        #expect(
            try Hearth_Admin_V1_RestartBackendRequest(serializedBytes: restart.request)
                == .with {
                    $0.backend = "echo"
                    $0.now = true
                })
        #expect(try call("POST", "/hearth/v1/resume").request.isEmpty)
        #expect(try call("GET", "/hearth/v1/status", query: "", "{}").request.isEmpty)
    }

    @Test(
        "what is not understood is refused by its name",
        arguments: [
            ("GET", "/hearth/v1/status", "colour=1", "", "colour"),
            ("GET", "/hearth/v1/logs/a", "after=x", "", "after"),
            ("GET", "/hearth/v1/logs/a", "after=18446744073709551616", "", "after"),
            ("GET", "/hearth/v1/logs/a", "replica=4294967296", "", "replica"),
            ("GET", "/hearth/v1/logs/a", "replica=-1", "", "replica"),
            ("GET", "/hearth/v1/logs/a", "replica=", "", "replica"),
            ("GET", "/hearth/v1/logs/a", "model=b&model=c", "", "model"),
            ("GET", "/hearth/v1/logs/a", "backend=b", "", "backend"), ("GET", "/metrics", "colour", "", "colour"),
            ("GET", "/hearth/v1/status", "", #"{"colour": 1}"#, "colour"),
            ("POST", "/hearth/v1/pause", "", #"{"unlaod": true}"#, "unlaod"),
            ("POST", "/hearth/v1/pause", "unload=true", "", "unload"),
            ("POST", "/hearth/v1/pause", "", #"{"unload": "true"}"#, "unload"),
            ("POST", "/hearth/v1/keys", "", #"{"name": 1}"#, "name"),
            ("POST", "/hearth/v1/keys", "", #"{"streams": -1}"#, "streams"),
            ("POST", "/hearth/v1/keys", "", #"{"streams": 1.5}"#, "streams"),
            ("POST", "/hearth/v1/keys", "", #"{"streams": true}"#, "streams"),
            ("POST", "/hearth/v1/keys", "", #"{"models": "a"}"#, "models"),
            ("POST", "/hearth/v1/keys", "", #"{"models": ["a", 1]}"#, "models[1]"),
            ("POST", "/hearth/v1/keys", "", #"{"is_owner": true}"#, "is_owner"),
            ("POST", "/hearth/v1/models/m/load", "", #"{"model": "n"}"#, "model"),
        ])
    func refusals(verb: String, path: String, query: String, body: String, name: String) {
        let failure = #expect(throws: HTTPFailure.self) { try call(verb, path, query: query, body) }
        #expect(failure?.statusCode == 400)
        #expect(failure?.message.contains("'\(name)'") == true)
    }

    @Test(arguments: [("%", ""), ("a=%f", ""), ("a=%FF", ""), ("", "[]"), ("", "{"), ("", #"{"unload": true} {}"#)])
    func `what is no query or no JSON object is refused`(query: String, body: String) {
        let failure = #expect(throws: HTTPFailure.self) { try call("POST", "/hearth/v1/pause", query: query, body) }
        #expect(failure?.statusCode == 400)
    }
}
