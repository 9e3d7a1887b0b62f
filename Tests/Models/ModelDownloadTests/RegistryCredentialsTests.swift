import BaseEncodings
import Testing

@testable import ModelDownload

struct CredentialsFileTests {
    private func finding(_ json: String, _ host: String, _ repository: String = "a/b") throws -> CredentialsFile.Finding
    {
        try CredentialsFile(Array(json.utf8), file: "config.json").finding(host: host, repository: repository)
    }

    private func entry(_ text: String) -> String { "{\"auth\":\"\(Base64.encode(Array(text.utf8)))\"}" }

    @Test func `docker login's entries are found by the registry's names`() throws {
        let json =
            "{\"auths\":{\"https://index.docker.io/v1/\":\(entry("me:a:b")),\"h.example:5000\":\(entry("you:x"))},"
            + "\"currentContext\":\"x\"}"
        #expect(try finding(json, "docker.io") == .credentials(.password(user: "me", "a:b")))
        #expect(try finding(json, "h.example:5000") == .credentials(.password(user: "you", "x")))
        #expect(try finding(json, "h.example") == .nothing)
        #expect(try finding("{\"auths\":{\"h\":{\"identitytoken\":\"t\"}}}", "h") == .credentials(.identityToken("t")))
    }

    @Test func `of podman's entries the nearest counts`() throws {
        let json =
            "{\"auths\":{\"h.example\":\(entry("all:1")),\"h.example/a\":\(entry("a:2")),\"h.example/a/b\":\(entry("b:3"))}}"
        #expect(try finding(json, "h.example", "a/b") == .credentials(.password(user: "b", "3")))
        #expect(try finding(json, "h.example", "a/c") == .credentials(.password(user: "a", "2")))
        #expect(try finding(json, "h.example", "ab/c") == .credentials(.password(user: "all", "1")))
    }

    @Test func `a helper is asked where the file names one`() throws {
        let json = "{\"credsStore\":\"desktop\",\"credHelpers\":{\"h.example\":\"ecr\"},\"auths\":{\"h.example\":{}}}"
        #expect(try finding(json, "h.example") == .helper("ecr", server: "h.example"))
        #expect(try finding(json, "docker.io") == .helper("desktop", server: "https://index.docker.io/v1/"))
        let answer = { (json: String) in try CredentialsFile.answer(Array(json.utf8), helper: "x") }
        #expect(try answer("{\"ServerURL\":\"s\",\"Username\":\"u\",\"Secret\":\"p\"}") == .password(user: "u", "p"))
        #expect(try answer("{\"Username\":\"<token>\",\"Secret\":\"p\"}") == .identityToken("p"))
        #expect(throws: (any Error).self) { try answer("credentials not found") }
    }

    @Test func `a damaged file is an error that names it`() {
        for json in [
            "", "[]", "{\"auths\":{\"h\":{\"auth\":\"!\"}}}",
            "{\"auths\":{\"h\":{\"auth\":\"\(Base64.encode([1]))\"}}}",
        ] {
            let error = #expect(throws: (any Error).self) { try finding(json, "h") }
            #expect("\(error!)".contains("config.json"))
        }
    }

    @Test func `the files are looked for where the tools keep them`() {
        #expect(CredentialsFile.paths(["HOME": "/h"]) == ["/h/.config/containers/auth.json", "/h/.docker/config.json"])
        #expect(
            CredentialsFile.paths([
                "HOME": "/h", "DOCKER_CONFIG": "/d", "REGISTRY_AUTH_FILE": "/r.json", "XDG_RUNTIME_DIR": "/run/1",
            ]) == ["/r.json", "/run/1/containers/auth.json", "/h/.config/containers/auth.json", "/d/config.json"])
        #expect(CredentialsFile.paths([:]).isEmpty)
    }
}
