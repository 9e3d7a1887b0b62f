import SandboxPolicy
import StrictJSON
import Testing

struct BackendManifestTests {
    private func parse(_ json: String) throws -> BackendManifest {
        try BackendManifest.parse(Array(json.utf8), executableName: "llama", file: "llama.json")
    }

    @Test("without a manifest a backend is strict and has one model of its name")
    func none() {
        let manifest = BackendManifest(executableName: "echo")
        #expect(manifest.policy == "strict")
        #expect(manifest.models == [BackendManifest.Model(id: "echo")])
        #expect(manifest.readOnlyPaths.isEmpty)
    }

    @Test("an empty manifest asks for nothing")
    func empty() throws {
        #expect(try parse("{}") == BackendManifest(executableName: "llama"))
    }

    @Test("a manifest asks for a policy, models, memory, threads and paths")
    func full() throws {
        let manifest = try parse(
            """
            {"policy": "inference-cpu", "memoryMebibytes": 512, "threads": 4, "loadSeconds": 60,
             "readOnlyPaths": ["/usr/share/zoneinfo"],
             "models": [{"id": "demo", "file": "demo.gguf", "contextTokens": 2048, "maxSequences": 8,
                         "options": {"batch": 512, "flash": true, "template": "chatml"}}]}
            """)
        #expect(manifest.policy == "inference-cpu")
        #expect(manifest.memoryMebibytes == 512)
        #expect(manifest.threads == 4)
        #expect(manifest.loadSeconds == 60)
        #expect(manifest.readOnlyPaths == ["/usr/share/zoneinfo"])
        #expect(manifest.models.count == 1)
        #expect(manifest.models[0].file == "demo.gguf")
        #expect(manifest.models[0].contextTokens == 2048)
        #expect(manifest.models[0].maxSequences == 8)
        #expect(manifest.models[0].options == ["batch": "512", "flash": "true", "template": "chatml"])
    }

    @Test(
        "what is no manifest is refused",
        arguments: [
            "", "[]", #"{"polcy": "strict"}"#, #"{"models": []}"#, #"{"models": [{}]}"#, #"{"models": [{"id": ""}]}"#,
            #"{"models": [{"id": "a b"}]}"#, #"{"models": [{"id": "a"}, {"id": "a"}]}"#,
            #"{"models": [{"id": "a", "file": ""}]}"#, #"{"models": [{"id": "a", "options": {"x": []}}]}"#,
            #"{"models": [{"id": "a", "contextTokens": 4294967296}]}"#, #"{"threads": 0}"#, #"{"threads": "4"}"#,
            #"{"memoryMebibytes": -1}"#, #"{"memoryMebibytes": 0}"#, #"{"loadSeconds": 1e9}"#,
            #"{"readOnlyPaths": "x"}"#, #"{"interpreter": "python3"}"#, #"{"interpreter": "/usr/../bin/python3"}"#,
        ])
    func malformed(json: String) {
        #expect(throws: SandboxPolicyError.self) { try parse(json) }
    }
}
