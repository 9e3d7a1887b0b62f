import Testing

@testable import Settings

struct SettingsTextTests {
    private func changed(_ text: String, to address: String = "127.0.0.1:8080") throws -> String {
        let text = try SettingsText(Array(text.utf8), file: "f")
        let changed = try text.setting(.http, to: address, file: "f")
        #expect(changed.settings.http == address)
        return String(decoding: changed.bytes, as: UTF8.self)
    }

    @Test(
        "all else stays to the byte",
        arguments: [
            ("{}", "{\n  \"http\": \"127.0.0.1:8080\"\n}"),
            (" { \n } \n", " {\n  \"http\": \"127.0.0.1:8080\"\n} \n"),
            (#"{"tls": true}"#, #"{"tls": true,"http": "127.0.0.1:8080"}"#),
            (#"{ "tls" : true, "tier":"full" }"#, #"{ "tls" : true, "tier":"full", "http": "127.0.0.1:8080" }"#),
            ("{\n\t\"memory\": \"8G\"\n}\n", "{\n\t\"memory\": \"8G\",\n\t\"http\": \"127.0.0.1:8080\"\n}\n"),
            (
                "{\r\n  \"tls\": true,\r\n\r\n  \"keep-alive\": 60\r\n}",
                "{\r\n  \"tls\": true,\r\n\r\n  \"keep-alive\": 60,\r\n  \"http\": \"127.0.0.1:8080\"\r\n}"
            ),
            (
                "{\"http\" :\"[::1]:1\" , \"tls\": true}\n", "{\"http\" :\"127.0.0.1:8080\" , \"tls\": true}\n"
            ),
            (
                #"{"readable": ["/a\"http\": {", "/b\\"], "http": "off", "tls": false}"#,
                #"{"readable": ["/a\"http\": {", "/b\\"], "http": "127.0.0.1:8080", "tls": false}"#
            ),
            (
                #"{"h\u0074tp": "off", "keep-alive":5}"#, #"{"h\u0074tp": "127.0.0.1:8080", "keep-alive":5}"#
            ),
        ])
    func edits(before: String, after: String) throws { #expect(try changed(before) == after) }

    @Test func `what was set can be set again, and back`() throws {
        let once = try changed("{\n  \"tls\": true\n}\n", to: "off")
        #expect(try changed(once, to: "off") == once)
        #expect(try changed(changed(once), to: "off") == once)
        #expect(
            try SettingsText.none.setting(.http, to: "off", file: "f").bytes
                == Array("{\n  \"http\": \"off\"\n}\n".utf8))
        #expect(try !SettingsText(Array("{}".utf8), file: "f").has(.http))
        #expect(try SettingsText(Array(once.utf8), file: "f").has(.http))
    }

    @Test(
        "text that an agent would not understand is refused with its line",
        arguments: [
            ("{\n  // mine\n  \"tls\": true\n}", "f:2"), ("{\n  \"tls\": 1\n}", "f:2"),
            ("{\n  \"htp\": \"x\"\n}", "f:2"),
            ("[]", "f:1"), ("", "f"), ("{\n\"tls\": true,\n}", "f:"), ("{\"tls\": true} x", "f:1"),
        ])
    func refused(text: String, place: String) {
        let error = #expect(throws: HostError.self) { try SettingsText(Array(text.utf8), file: "f") }
        #expect(error?.description.hasPrefix(place) == true)
    }
}
