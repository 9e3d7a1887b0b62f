import HTTPProtocols
import Testing

struct RequestOriginTests {
    private let origin = RequestOrigin(names: ["Hearth.example"], origins: ["https://page.example"])

    @Test(
        "addresses, names of loopback and those that the owner allows are this host's",
        arguments: [
            "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "192.0.2.7:80", "localhost:8080", "LOCALHOST", "a.localhost",
            "hearth.example", "hearth.EXAMPLE:443",
        ])
    func ownNames(host: String) throws {
        #expect(try origin.check(host: host, origin: nil) == nil)
    }

    @Test(
        "other names are another host's, whatever they begin or end with",
        arguments: [
            "evil.example", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "hearth.example.org",
            "1.2.3", "0x7f000001",
        ])
    func otherNames(host: String) throws {
        let failure = try #require(throws: HTTPFailure.self) { _ = try origin.check(host: host, origin: nil) }
        #expect(failure.statusCode == 421)
    }

    @Test("a name that stands for any label stands for one")
    func wildcards() throws {
        let origin = RequestOrigin(names: ["*.Hearth.example"])
        #expect(try origin.check(host: "a.hearth.example:443", origin: nil) == nil)
        for host in ["hearth.example", "a.b.hearth.example", ".hearth.example.org", "*", "example"] {
            #expect(throws: HTTPFailure.self) { _ = try origin.check(host: host, origin: nil) }
        }
    }

    @Test(
        "the host of a target that is a whole URI counts, and two fields Host name none",
        arguments: [
            ("/a", ["own"], "own"), ("*", ["own"], "own"), ("/a?b=c://d", ["own"], "own"), ("/a", [], nil),
            ("/a", ["own", "own"], nil), ("/a", ["own", "other"], nil),
            ("http://evil.example/a", ["own"], "evil.example"), ("HTTP://evil.example:80?a/b", [], "evil.example:80"),
            ("http://own", ["a", "b"], nil),
        ] as [(String, [String], String?)])
    func oneHost(target: String, fields: [String], host: String?) {
        #expect(RequestOrigin.host(of: target, fields: fields) == host)
    }

    @Test("a field Host that is none is no request's", arguments: [nil, "", ":80", "[::1", "[]"])
    func noName(host: String?) throws {
        let failure = try #require(throws: HTTPFailure.self) { _ = try origin.check(host: host, origin: nil) }
        #expect(failure.statusCode == 400)
    }

    @Test("the page that came from here may ask, and needs no leave")
    func ownOrigin() throws {
        #expect(try origin.check(host: "127.0.0.1:8080", origin: "http://127.0.0.1:8080") == nil)
        #expect(try origin.check(host: "hearth.example", origin: "https://Hearth.example") == nil)
    }

    @Test("a page that the owner allows is told so by name")
    func allowedOrigin() throws {
        #expect(try origin.check(host: "127.0.0.1:8080", origin: "https://page.example") == "https://page.example")
    }

    @Test(
        "other pages may not ask",
        arguments: [
            "https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:9", "http://page.example",
            "https://page.example.evil.example", "",
        ])
    func otherOrigins(page: String) throws {
        let failure = try #require(throws: HTTPFailure.self) {
            _ = try origin.check(host: "127.0.0.1:8080", origin: page)
        }
        #expect(failure.statusCode == 403)
    }

    @Test(
        "a key comes as the clients of each protocol send it, and what is no key of ours counts where one is asked for")
    func keys() {
        let own = "hearth_abc"
        func key(_ field: String?, _ apiKey: String?, isRequired: Bool = false) -> String? {
            CallerKey.authorization(field, apiKey: apiKey, isRequired: isRequired)
        }
        #expect(key("Bearer \(own)", nil) == "Bearer \(own)")
        #expect(key(nil, own) == "Bearer \(own)")
        #expect(key("Bearer \(own)", "other") == "Bearer \(own)")
        #expect(key("Bearer ollama", nil) == nil)
        #expect(key(nil, "none") == nil)
        #expect(key("", nil) == nil)
        #expect(key("Bearer ollama", nil, isRequired: true) == "Bearer ollama")
        #expect(key(nil, nil, isRequired: true) == nil)
    }

    @Test("the settings of the bridge come back as they were, and an unknown one is an error")
    func settings() throws {
        var settings = BridgeSettings(requiresKey: true, names: ["a\"b"], origins: ["https://c"])
        #expect(try BridgeSettings(json: settings.json) == settings)
        settings.tls = BridgeSettings.TLS(certificateChain: "-----\nA\n", privateKey: "B")
        #expect(try BridgeSettings(json: settings.json) == settings)
        settings.tls = BridgeSettings.TLS(
            certificateChain: "A", privateKey: "B", clientAuthorities: "C", clientSubjects: ["d", "e"],
            acceptsTLS12: true)
        #expect(try BridgeSettings(json: settings.json) == settings)
        #expect(try BridgeSettings(json: BridgeSettings().json) == BridgeSettings())
        #expect(throws: (any Error).self) { try BridgeSettings(json: Array(#"{"name": []}"#.utf8)) }
    }
}
