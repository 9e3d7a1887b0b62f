import Testing

@testable import ModelDownload

struct ChallengeTests {
    @Test func `the challenges of registries are read`() {
        let docker = Challenge.parse(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:ai/x:pull,push\""
        )
        #expect(docker.map(\.scheme) == ["bearer"])
        #expect(
            docker.first?.parameters == [
                "realm": "https://auth.docker.io/token", "service": "registry.docker.io",
                "scope": "repository:ai/x:pull,push",
            ])
        let two = Challenge.parse("Basic realm = \"a \\\"b\\\" c\" , BEARER Realm=x, error=y")
        #expect(two.map(\.scheme) == ["basic", "bearer"])
        #expect(two.map { $0.parameters["realm"] } == ["a \"b\" c", "x"])
    }

    @Test(
        "half of one, or none, is no error", arguments: ["", ",", "=", "Bearer realm=\"x", "\"", "Bearer realm=,", "é"])
    func broken(field: String) {
        #expect(Challenge.parse(field).allSatisfy { $0.parameters.isEmpty })
    }

    @Test func `a field of any length has few challenges`() {
        #expect(Challenge.parse(String(repeating: "a ", count: 10_000)).count <= 16)
        let many = Challenge.parse("bearer " + (0..<1_000).map { "k\($0)=v" }.joined(separator: ","))
        #expect(many.allSatisfy { $0.parameters.count <= 32 })
    }
}
