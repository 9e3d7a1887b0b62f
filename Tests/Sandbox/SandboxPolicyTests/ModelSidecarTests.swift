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
        #expect(all.id == "m" && all.backend == "b" && all.settings.digest == [UInt8](repeating: 0xab, count: 32))
        #expect(all.settings.contextTokens == 1 && all.settings.maxSequences == 2 && all.settings.threads == 3)
        #expect(all.settings.memoryMebibytes == 4 && all.settings.options == ["k": "true"])
        #expect(all.settings.residence == .onDemand(keepAliveSeconds: 5))
        let chosen = try parsed(
            #"{"sampling": {"temperature": 0, "topP": 0.9, "topK": 5, "minP": 0.1, "frequencyPenalty": -1,"#
                + #" "presencePenalty": 2, "repetitionPenalty": 1.5, "penaltyWindow": 4294967295, "typicalP": 1,"#
                + #" "topNSigma": 2, "xtcProbability": 0.5, "xtcThreshold": 0.25, "dryMultiplier": 0.75, "dryBase": 2,"#
                + #" "dryAllowedLength": 3, "dryWindow": 0}, "chatTemplate": "{{ messages[0].content }}"}"#
        ).settings
        var sampling = SamplingDefaults()
        (sampling.temperature, sampling.topP, sampling.topK, sampling.minP) = (0, 0.9, 5, 0.1)
        (sampling.frequencyPenalty, sampling.presencePenalty, sampling.repetitionPenalty) = (-1, 2, 1.5)
        #expect(!sampling.needsSamplers)
        (sampling.penaltyWindow, sampling.typicalP, sampling.topNSigma) = (.max, 1, 2)
        (sampling.xtcProbability, sampling.xtcThreshold) = (0.5, 0.25)
        (sampling.dryMultiplier, sampling.dryBase, sampling.dryAllowedLength, sampling.dryWindow) = (0.75, 2, 3, 0)
        #expect(sampling.needsSamplers)
        #expect(chosen.sampling == sampling && chosen.chatTemplate == "{{ messages[0].content }}")
        #expect(chosen.chatTemplateFile == nil)
        #expect(try parsed(#"{"chatTemplate": "m.jinja"}"#).settings.chatTemplateFile == "m.jinja")
        #expect(try parsed(#"{"replicas": 16}"#).settings.replicas == 16)
        let adapted = try parsed(
            #"{"adapters": {"z.1": {"file": "z.gguf", "scale": -0.5, "default": true}, "a": {"file": "a b.gguf"}},"#
                + #" "draft": {"lookup": true, "file": "s.gguf"}}"#
        ).settings
        #expect(
            adapted.adapters == [
                ModelAdapter(name: "a", file: "a b.gguf"),
                ModelAdapter(name: "z.1", file: "z.gguf", scale: -0.5, isDefault: true),
            ])
        #expect(adapted.paths(ofFilesAt: "/m/x.gguf") == ["/m/x.gguf", "/m/a b.gguf", "/m/z.gguf", "/m/s.gguf"])
        #expect(adapted.draftLookup && adapted.draftFile == "s.gguf")
        let cut = try parsed(#"{"embedding": {"dimensions": [256, 64, 256]}}"#).settings
        #expect(cut.embeddingDimensions == [64, 256])
        let drafted = try parsed(#"{"draft": {"file": "s.gguf"}}"#).settings
        #expect(!drafted.draftLookup && drafted.paths(ofFilesAt: "x.gguf") == ["x.gguf", "s.gguf"])
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
            (#""replicas": 0"#, "'replicas' must be 1 to 16"), (#""replicas": 17"#, "'replicas' must be 1 to 16"),
            (#""replicas": "2""#, "'replicas' must be a whole number"),
            (#""replica": 2"#, "did you mean 'replicas'?"),
            (#""memoryMebibytes": 0"#, "at least 1"), (#""memoryMebibytes": -1"#, "whole number"),
            (#""keepAliveSeconds": 1.5"#, "whole number"), (#""load": "never""#, #"must be "start" or "demand""#),
            (#""load": "start", "keepAliveSeconds": 5"#, "has no meaning"), (#""options": 5"#, "'options' must be"),
            (#""sampling": 1"#, "must be an object"),
            (#""adapters": ["a.gguf"]"#, "'adapters' must be an object of at most 16 adapters"),
            (#""adapters": {"a b": {"file": "a.gguf"}}"#, "the name 'a b' of an adapter must have 1 to 64 letters"),
            (#""adapters": {"": {"file": "a.gguf"}}"#, "of an adapter must have 1 to 64 letters"),
            (#""adapters": {"a": "a.gguf"}"#, #"the adapter "a" must be an object"#),
            (#""adapters": {"a": {}}"#, "'file' is missing"),
            (#""adapters": {"a": {"file": "b/a.gguf"}}"#, "'file' must be the name of a file beside the model"),
            (#""adapters": {"a": {"file": ".."}}"#, "'file' must be the name of a file beside the model"),
            (#""adapters": {"a": {"file": "a", "scale": 11}}"#, "'scale' must be a number, -10.0 to 10.0"),
            (#""adapters": {"a": {"file": "a", "scale": "1"}}"#, "'scale' must be a number"),
            (#""adapters": {"a": {"file": "a", "default": 1}}"#, "'default' must be true or false"),
            (#""adapters": {"a": {"file": "a", "scales": 1}}"#, "did you mean 'scale'?"),
            (#""draft": true"#, #""draft" must be an object"#), (#""draft": {"lookup": 1}"#, "must be true or false"),
            (#""draft": {"look": true}"#, "unknown key 'look'"),
            (#""embedding": {"dimension": 1}"#, "unknown key 'dimension'"),
            (#""embedding": {"dimensions": [0]}"#, "must hold whole numbers of at least 1"),
            (#""embedding": {"dimensions": ["8"]}"#, "must hold whole numbers of at least 1"),
            (#""embedding": {"dimensions": [1.5]}"#, "must hold whole numbers of at least 1"),
            (#""draft": {"file": true}"#, "'file' must be a string"),
            (#""draft": {"file": "../s.gguf"}"#, "'file' must be the name of a file beside the model"),
            (#""draft": {"file": ""}"#, "'file' must be the name of a file beside the model"),
            (#""sampling": {"temperatur": 1}"#, "did you mean 'temperature'?"),
            (#""sampling": {"seed": 1}"#, "unknown key 'seed'"),
            (#""sampling": {"temperature": 2.1}"#, "'temperature' must be a number, 0.0 to 2.0, not the number 2.1"),
            (#""sampling": {"topP": 0}"#, "above 0.0 to 1.0"), (#""sampling": {"minP": "0"}"#, "must be a number"),
            (#""sampling": {"topK": 1.5}"#, "whole number"),
            (#""sampling": {"repetitionPenalty": 1e99}"#, "0.0 to 10.0"),
            (#""sampling": {"penaltyWindow": -1}"#, "'penaltyWindow' must be a whole number"),
            (#""sampling": {"typicalP": 0}"#, "above 0.0 to 1.0"), (#""sampling": {"topNSigma": 101}"#, "0.0 to 100.0"),
            (#""sampling": {"xtcThreshold": 0.6}"#, "0.0 to 0.5"), (#""sampling": {"dryBase": 0.9}"#, "1.0 to 10.0"),
            (
                #""sampling": {"dryAllowedLength": 0}"#,
                "'dryAllowedLength' must be a whole number, 1 to 65536, not 0"
            ),
            (#""sampling": {"logitBias": []}"#, "unknown key 'logitBias'"),
            (#""chatTemplate": """#, "must be a Jinja template, or the name of a file beside the model"),
            (#""chatTemplate": "../x.jinja""#, "a file beside the model"), (#""chatTemplate": "{\u0000}""#, "NUL"),
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
