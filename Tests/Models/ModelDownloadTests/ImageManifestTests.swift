import BaseEncodings
import ModelPull
import Testing

@testable import ModelDownload

struct ImageManifestTests {
    private static func digest(_ number: Int) -> String {
        "sha256:" + hexadecimal([UInt8](repeating: UInt8(number), count: 32))
    }

    private func layer(_ type: String, _ number: Int, name: String? = nil, key: String = "org.cncf.model.filepath")
        -> String
    {
        let annotations = name.map { ",\"annotations\":{\"\(key)\":\"\($0)\"}" } ?? ""
        return "{\"mediaType\":\"\(type)\",\"digest\":\"\(Self.digest(number))\",\"size\":\(number)\(annotations)}"
    }

    private func image(_ layers: [String]) throws -> ModelLayers {
        let json = "{\"schemaVersion\":2,\"layers\":[\(layers.joined(separator: ","))]}"
        guard case .image(let found) = try ImageManifest.parse(Array(json.utf8), architecture: "amd64") else {
            throw PullFailure(.refused, "an index")
        }
        return try ModelLayers(found, of: "h.example/x")
    }

    @Test func `Docker's models have weights and a licence`() throws {
        let layers = try image([
            layer("application/vnd.docker.ai.gguf.v3", 1), layer("application/vnd.docker.ai.license", 2),
            layer("application/vnd.docker.ai.mmproj", 3),
        ])
        #expect(layers.weights.map(\.size) == [1])
        #expect(layers.licences.map(\.size) == [2])
        #expect(layers.leftOut == ["a projector for images"])
    }

    @Test func `Ollama's models have more, which is left out and told`() throws {
        let layers = try image(
            ["model", "template", "license", "params", "system", "adapter"].enumerated().map {
                layer("application/vnd.ollama.image.\($1)", $0 + 1)
            })
        #expect(layers.weights.map(\.size) == [1])
        #expect(layers.licences.map(\.size) == [3])
        #expect(layers.leftOut == ["a chat template in Go's language", "parameters", "a system prompt", "an adapter"])
    }

    @Test func `other tools name the file beside its type`() throws {
        #expect(try image([layer("application/vnd.cncf.model.weight.v1.raw", 1, name: "m/x.gguf")]).weights.count == 1)
        let title = "org.opencontainers.image.title"
        #expect(try image([layer("application/octet-stream", 1, name: "x.GGUF", key: title)]).weights.count == 1)
    }

    @Test func `parts of a model are put into their order by their names`() throws {
        let type = "application/vnd.docker.ai.gguf.v3"
        let layers = try image((1...3).map { layer(type, $0, name: "x-0000\(4 - $0)-of-00003.gguf") })
        #expect(layers.weights.map(\.size) == [3, 2, 1])
        #expect(try image((1...3).map { layer(type, $0) }).weights.map(\.size) == [1, 2, 3])
    }

    @Test func `an image without weights is refused with what it has`() {
        let failure = #expect(throws: PullFailure.self) {
            try image([
                layer("application/vnd.docker.image.rootfs.diff.tar.gzip", 1, name: "x.gguf"),
                layer("application/vnd.cncf.model.weight.v1.raw", 2, name: "x.safetensors"),
            ])
        }
        #expect(failure?.description.contains("rootfs.diff.tar.gzip") == true)
        #expect(failure?.description.contains("x.safetensors") == true)
        #expect(throws: PullFailure.self) { try image([]) }
        let twice = layer("application/vnd.docker.ai.gguf.v3", 1)
        #expect(throws: PullFailure.self) { try image([twice, twice]) }
    }

    @Test func `of an index the image for this machine is taken, and attestations are not`() throws {
        func entry(_ number: Int, _ platform: String?) -> String {
            let platform = platform.map { ",\"platform\":{\"os\":\"linux\",\"architecture\":\"\($0)\"}" } ?? ""
            return
                "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"\(Self.digest(number))\","
                + "\"size\":\(number)\(platform)}"
        }
        func chosen(_ entries: [String]) throws -> UInt64? {
            let json = "{\"schemaVersion\":2,\"manifests\":[\(entries.joined(separator: ","))]}"
            guard case .index(let chosen) = try ImageManifest.parse(Array(json.utf8), architecture: "amd64") else {
                return nil
            }
            return chosen.size
        }
        #expect(try chosen([entry(1, "arm64"), entry(2, "amd64")]) == 2)
        #expect(try chosen([entry(1, "unknown"), entry(2, nil)]) == 2)
        #expect(try chosen([entry(1, "arm64")]) == 1)
        #expect(throws: PullFailure.self) { try chosen([]) }
    }

    @Test(
        "what is no manifest is refused",
        arguments: [
            "", "[]", "{}", "{\"schemaVersion\":1,\"layers\":[]}", "{\"schemaVersion\":2}",
            "{\"schemaVersion\":2,\"layers\":{}}",
            "{\"schemaVersion\":2,\"layers\":[1]}",
            "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"x\",\"digest\":\"\(digest(1))\"}]}",
            "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"x\",\"digest\":\"\(digest(1))\",\"size\":-1}]}",
            "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"x\",\"digest\":\"\(digest(1))\",\"size\":99999999999999999}]}",
            "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"x\",\"digest\":\"md5:00\",\"size\":1}]}",
            "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:../../etc\",\"size\":1}]}",
        ])
    func refused(json: String) {
        #expect(throws: PullFailure.self) { try ImageManifest.parse(Array(json.utf8), architecture: "amd64") }
    }
}
