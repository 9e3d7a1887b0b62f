import Testing

@testable import SandboxPolicy

@Suite("ModelSidecar")
struct ModelSidecarTests {
    private func parsed(_ json: String) throws -> ModelSidecar {
        try ModelSidecar.parse(Array(json.utf8), file: "m.json")
    }

    private func refusal(_ json: String) -> String? {
        do {
            _ = try parsed(json)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("every key is optional, and each is taken")
    func keys() throws {
        #expect(try parsed("{}") == ModelSidecar())
        let digest = String(repeating: "aB", count: 32)
        let all = try parsed(
            #"{"id": "m", "backend": "b", "sha256": "\#(digest)", "contextTokens": 1, "maxSequences": 2, "threads": 3,"#
                + #" "memoryMebibytes": 4, "keepAliveSeconds": 5, "options": {"k": true}}"#)
        #expect(all.id == "m" && all.backend == "b" && all.digest == [UInt8](repeating: 0xab, count: 32))
        #expect(all.settings.contextTokens == 1 && all.settings.maxSequences == 2 && all.settings.threads == 3)
        #expect(all.settings.memoryMebibytes == 4 && all.settings.options == ["k": "true"])
        #expect(all.settings.residence == .onDemand(keepAliveSeconds: 5))
        #expect(try parsed(#"{"load": "start"}"#).settings.residence == .always)
        #expect(try parsed(#"{"load": "demand"}"#).settings.residence == .onDemand(keepAliveSeconds: nil))
    }

    @Test(
        "a value that cannot be is refused with the file, the line, the key and what was expected",
        arguments: [
            (#""id": 5"#, "'id' must be a string"), (#""id": """#, "'id' must have 1 to 128 bytes"),
            (#""id": "a b""#, "without spaces"), (#""backend": ["b"]"#, "'backend' must be a string"),
            (#""sha256": "12""#, "64 hexadecimal digits"), (#""sha256": null"#, "'sha256' is null"),
            (#""contextTokens": "8k""#, "'contextTokens' must be a whole number"),
            (#""maxSequences": 0"#, "at least 1"), (#""threads": 0"#, "at least 1"),
            (#""memoryMebibytes": 0"#, "at least 1"), (#""memoryMebibytes": -1"#, "whole number"),
            (#""keepAliveSeconds": 1.5"#, "whole number"), (#""load": "never""#, #"must be "start" or "demand""#),
            (#""load": "start", "keepAliveSeconds": 5"#, "has no meaning"), (#""options": 5"#, "'options' must be"),
            (#""file": "x""#, "unknown key 'file'"), (#""keepAliveSecond": 5"#, "did you mean 'keepAliveSeconds'?"),
        ])
    func refused(member: String, says: String) {
        let refusal = refusal("{\n\(member)}")
        #expect(refusal?.contains("m.json:2") == true, "\(refusal ?? "taken")")
        #expect(refusal?.contains(says) == true, "\(refusal ?? "taken")")
    }

    @Test("a backend that serves files needs no model of its own, and names formats as files' names end")
    func serves() throws {
        func manifest(_ json: String) throws -> BackendManifest {
            try BackendManifest.parse(Array(json.utf8), executableName: "b", file: "b.json")
        }
        let serving = try manifest(#"{"serves": ["gguf"]}"#)
        #expect(serving.serves == ["gguf"] && serving.models.isEmpty)
        #expect(try manifest("{}").models.map(\.id) == ["b"])
        for wrong in [#"["GGUF"]"#, #"[".gguf"]"#, #"[""]"#, #""gguf""#, "[5]"] {
            #expect(throws: SandboxPolicyError.self, "\(wrong)") { try manifest(#"{"serves": \#(wrong)}"#) }
        }
    }
}
