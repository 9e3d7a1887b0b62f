import SandboxPolicy
import Testing

@Suite("ModelParts")
struct ModelPartsTests {
    @Test("the name of a part tells all of them, and the name of the settings")
    func names() throws {
        let path = "/m/Big-Q8_0-00002-of-00003.gguf"
        let (model, number) = try #require(ModelParts.part(at: path))
        #expect(number == 2 && model.count == 3 && model.path(of: 2) == path)
        #expect(ModelParts.paths(ofModelAt: path) == (1...3).map { "/m/Big-Q8_0-0000\($0)-of-00003.gguf" })
        #expect(ModelParts.firstPath(ofModelAt: path) == "/m/Big-Q8_0-00001-of-00003.gguf")
        #expect(ModelParts.stem(ofModelAt: path) == "/m/Big-Q8_0")
    }

    @Test(
        "what is named otherwise is a whole model",
        arguments: [
            "/m/x.gguf", "/m/x-00001-of-00001.gguf", "/m/x-0001-of-0002.gguf", "/m/x-00001-of-00002",
            "/m/-00001-of-00002.gguf/x.gguf", "/m/x-00001-of-00999.gguf",
        ])
    func wholes(path: String) {
        #expect(ModelParts.paths(ofModelAt: path) == [path])
    }

    @Test("the settings of a model have its name, whatever its ending")
    func stems() {
        #expect(ModelParts.stem(ofModelAt: "/m.d/x.y.gguf") == "/m.d/x.y")
        #expect(ModelParts.stem(ofModelAt: "/m/x-00001-of-00001.gguf") == "/m/x")
        #expect(ModelParts.stem(ofModelAt: "/m.d/x") == "/m.d/x")
    }
}
