import Testing

@testable import ModelPull

struct PullSourceTests {
    private static let hex = String(repeating: "0123456789abcdef", count: 4)
    private static let digest = [UInt8]((0..<32).map { [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef][$0 % 8] })

    @Test(
        "a registry's names as people write them, and what is asked for",
        arguments: [
            ("docker.io/ai/smollm2", "registry-1.docker.io", "ai/smollm2", "latest"),
            ("oci://docker.io/ai/smollm2:135M-Q4_K_M", "registry-1.docker.io", "ai/smollm2", "135M-Q4_K_M"),
            ("docker://index.docker.io/x", "registry-1.docker.io", "library/x", "latest"),
            ("registry.ollama.ai/library/smollm2:135m", "registry.ollama.ai", "library/smollm2", "135m"),
            ("ollama.com/smollm2", "registry.ollama.ai", "library/smollm2", "latest"),
            ("hf.co/bartowski/SmolLM2-GGUF:Q4_0", "hf.co", "bartowski/SmolLM2-GGUF", "Q4_0"),
            ("127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000", "a/b/c", "1"),
            ("localhost/m", "localhost", "m", "latest"), ("[::1]:5000/m", "[::1]:5000", "m", "latest"),
            ("registry.example/m:t@sha256:\(hex)", "registry.example", "m", "sha256:\(hex)"),
        ])
    func images(text: String, endpoint: String, repository: String, selector: String) throws {
        guard case .image(let image) = try PullSource.parse(text) else {
            Issue.record("no image")
            return
        }
        #expect(image.endpoint == endpoint)
        #expect(image.repository == repository)
        #expect(image.selector == selector)
    }

    @Test(
        "only this machine is asked without TLS",
        arguments: [
            ("127.0.0.1:5000/m", true), ("127.9.9.9/m", true), ("localhost:1/m", true), ("[::1]/m", true),
            ("127.0.0.1.example/m", false), ("128.0.0.1/m", false), ("localhost.example/m", false),
            ("10.0.0.1:5000/m", false),
        ])
    func loopback(text: String, isLoopback: Bool) throws {
        #expect(try ImageReference(text).isLoopback == isLoopback)
    }

    @Test func `a name without a registry is answered with both full names`() {
        let failure = #expect(throws: PullFailure.self) { try PullSource.parse("smollm2:135m") }
        #expect(failure?.kind == .usage)
        #expect(failure?.description.contains("docker.io/ai/smollm2:135m") == true)
        #expect(failure?.description.contains("registry.ollama.ai/library/smollm2:135m") == true)
    }

    @Test func `an address needs its digest, in its fragment or beside it`() throws {
        let address = "https://host.example/a/x.gguf"
        #expect(try PullSource.parse("\(address)#sha256=\(Self.hex)") == .address(address, digest: Self.digest))
        #expect(try PullSource.parse(address, sha256: Self.hex.uppercased()) == .address(address, digest: Self.digest))
        let failure = #expect(throws: PullFailure.self) { try PullSource.parse(address) }
        #expect(failure?.description.contains("#sha256=") == true)
        #expect(throws: PullFailure.self) {
            try PullSource.parse("\(address)#sha256=\(Self.hex)", sha256: String(repeating: "0", count: 64))
        }
    }

    @Test(
        "what is no source is refused",
        arguments: [
            "", "a\nb", "http://host.example/x.gguf#sha256=\(hex)", "https://user:word@host.example/x#sha256=\(hex)",
            "https:///x#sha256=\(hex)", "https://h.example/x#sha256=12", "https://h.example/x#md5=\(hex)",
            "ftp://h.example/x",
            "h.example/../x", "h.example/", "h.example/a//b", "h.example/a:", "h.example/a:t:u",
            "h.example/a@sha256:12",
            "h.example/a b", "-h.example:1/a", "h.example:x/a", "h.example/a@md5:00",
        ])
    func refused(text: String) {
        let failure = #expect(throws: PullFailure.self) { try PullSource.parse(text) }
        #expect(failure?.kind == .usage)
    }

    @Test(
        "a file is written as a path, or as a name that ends as models do",
        arguments: ["./x", "../x.bin", "/models/x.gguf", "x.gguf", "folder/x.GGUF"])
    func files(path: String) throws {
        #expect(try PullSource.parse(path) == .file(path, digest: nil))
    }
}

struct PulledNameTests {
    private static let fragment = "#sha256=" + String(repeating: "00", count: 32)

    @Test(
        "the file and the id that a source gives",
        arguments: [
            ("docker.io/ai/smollm2:135M-Q4_K_M", "smollm2-135M-Q4_K_M.gguf", "smollm2-135m:q4_k_m"),
            ("docker.io/ai/smollm2", "smollm2.gguf", "smollm2"),
            (
                "ollama.com/library/smollm2:135m-instruct-q4_0", "smollm2-135m-instruct-q4_0.gguf",
                "smollm2-135m-instruct:q4_0"
            ),
            (
                "hf.co/u/SmolLM2-135M-Instruct-GGUF:Q4_K_M", "SmolLM2-135M-Instruct-Q4_K_M.gguf",
                "smollm2-135m-instruct:q4_k_m"
            ),
            (
                "https://h.example/r/My%20Model.Q4_1.gguf?download=true" + fragment, "My Model.Q4_1.gguf",
                "my-model:q4_1"
            ),
            ("https://h.example/model" + fragment, "model.gguf", "model"),
            ("/tmp/Fox.Q4_0.words", "Fox.Q4_0.words", "fox:q4_0"),
        ])
    func names(source: String, file: String, id: String) throws {
        let name = try PulledName(of: try PullSource.parse(source), as: nil)
        #expect(name.file == file)
        #expect(name.id == id)
        #expect(!name.needsSettings)
    }

    @Test(
        "the id that its owner gives is the model's, by its file's name or by its settings",
        arguments: [
            ("fox:q4_0", "fox.q4_0.gguf", false), ("fox", "fox.gguf", false), ("fox:mine", "fox.mine.gguf", true),
            ("Fox", "Fox.gguf", true), ("org/fox", "org-fox.gguf", true), ("../fox", "-fox.gguf", true),
        ])
    func asked(id: String, file: String, needsSettings: Bool) throws {
        let name = try PulledName(of: try PullSource.parse("h.example/x"), as: id)
        #expect(name.file == file)
        #expect(name.id == id)
        #expect(name.needsSettings == needsSettings)
    }

    @Test(
        "no name leads out of the folder, hides its file or steers a terminal",
        arguments: [
            "%2e%2e%2fx.gguf", "a%2fb.gguf", "a/%2f%cc%81b.gguf", ".hidden.gguf", "a%0ab.gguf", "a%e2%80%aeb.gguf", "",
            "%ff.gguf",
        ])
    func unsafe(component: String) throws {
        let source = try PullSource.parse("https://h.example/\(component)\(Self.fragment)")
        let failure = #expect(throws: PullFailure.self) { try PulledName(of: source, as: nil) }
        #expect(failure?.description.contains("--as") == true)
        #expect(try PulledName(of: source, as: "fox").stem == "fox")
    }

    @Test func `an id of spaces, dots or nothing is refused`() throws {
        let source = try PullSource.parse("h.example/x")
        for id in ["", "a b", "a\tb", "...", String(repeating: "x", count: 129)] {
            #expect(throws: PullFailure.self) { try PulledName(of: source, as: id) }
        }
    }

    @Test func `the parts of a model have the names that llama_cpp looks for`() throws {
        let name = try PulledName(of: try PullSource.parse("h.example/big:q8_0"), as: nil)
        #expect(name.part(2, of: 12) == "big-q8_0-00002-of-00012.gguf")
        #expect(name.stem == "big-q8_0")
    }
}
