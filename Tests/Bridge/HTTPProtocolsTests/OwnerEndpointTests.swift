import Testing

@testable import HTTPProtocols

struct OwnerEndpointTests {
    @Test(
        "each path leads to its call, with the values in it",
        arguments: [
            ("GET", "/hearth/v1/status", "GetStatus", [:]), ("GET", "/hearth/v1/models", "ListModels", [:]),
            ("GET", "/hearth/v1/models/a:b", "ShowModel", ["model": "a:b"]),
            ("GET", "/hearth/v1/models/a%2Fb%C3%BC", "ShowModel", ["model": "a/bü"]),
            ("POST", "/hearth/v1/models/load/load", "LoadModel", ["model": "load"]),
            ("POST", "/hearth/v1/models/m/unload", "UnloadModel", ["model": "m"]),
            ("GET", "/hearth/v1/turns", "ListTurns", [:]), ("GET", "/hearth/v1/ps", "ListBackends", [:]),
            ("GET", "/hearth/v1/backends", "ListBackends", [:]),
            ("POST", "/hearth/v1/backends/echo/restart", "RestartBackend", ["backend": "echo"]),
            ("GET", "/hearth/v1/limits", "ListLimits", [:]), ("GET", "/hearth/v1/keys", "ListKeys", [:]),
            ("POST", "/hearth/v1/keys", "CreateKey", [:]), ("DELETE", "/hearth/v1/keys/k", "RevokeKey", ["name": "k"]),
            ("GET", "/hearth/v1/denied/echo", "ListDenied", ["backend": "echo"]),
            ("GET", "/hearth/v1/logs/echo", "ReadLog", ["backend": "echo"]), ("POST", "/hearth/v1/pause", "Pause", [:]),
            ("POST", "/hearth/v1/resume", "Resume", [:]), ("POST", "/hearth/v1/drain", "Drain", [:]),
            ("POST", "/hearth/v1/pull", "Pull", [:]), ("GET", "/metrics", "GetStatus", [:]),
            ("HEAD", "/hearth/v1/status", "GetStatus", [:]),
        ])
    func paths(verb: String, path: String, call: String, values: [String: String]) throws {
        let found = try OwnerEndpoint.find(verb, path)
        #expect(found.0.calls.first == call)
        #expect(found.values == values)
    }

    @Test(
        "what leads nowhere is 404",
        arguments: [
            "/hearth/v1/", "/hearth/v1/stop", "/hearth/v1/models/", "/hearth/v1/models/a/b", "/hearth/v1/models/%2",
            "/hearth/v1/models/%zz", "/hearth/v1/models/%FF", "/hearth/v1/status/", "/metrics/", "/hearth/v1//status",
            "/hearth/v1/keys//",
        ])
    func nowhere(path: String) {
        let failure = #expect(throws: HTTPFailure.self) { try OwnerEndpoint.find("GET", path) }
        #expect(failure?.statusCode == 404)
    }

    @Test func `another method is refused with those that are taken`() {
        for (verb, path, taken) in [
            ("GET", "/hearth/v1/pause", "takes POST"), ("PUT", "/hearth/v1/keys", "takes GET and POST"),
            ("HEAD", "/hearth/v1/pull", "takes POST"), ("get", "/hearth/v1/status", "takes GET"),
        ] {
            let failure = #expect(throws: HTTPFailure.self) { try OwnerEndpoint.find(verb, path) }
            #expect(failure?.statusCode == 405)
            #expect(failure?.message.contains(taken) == true)
        }
        #expect(OwnerEndpoint.verbs(at: "/hearth/v1/keys") == [.get, .post])
        #expect(OwnerEndpoint.verbs(at: "/hearth/v1/none").isEmpty)
    }

    @Test(arguments: OwnerEndpoint.all)
    func `each field of a call's request has its one place`(endpoint: OwnerEndpoint) throws {
        guard endpoint.question != .metrics, endpoint.question != .description else {
            #expect(endpoint.schema == nil && endpoint.query.isEmpty && endpoint.body.isEmpty)
            return
        }
        let schema = try #require(endpoint.schema)
        let inPath = endpoint.path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
            String($0.dropFirst().dropLast())
        }
        let fields = try #require(MessageSchema.admin.messages[schema.request]).map(\.name)
        #expect((inPath + endpoint.query + endpoint.body).sorted() == fields.sorted())
        #expect(schema.isStream == (endpoint.question == .pull))
        #expect(endpoint.verb == .post || endpoint.body.isEmpty)
    }
}
