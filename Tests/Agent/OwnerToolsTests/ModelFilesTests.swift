import Foundation
import OwnerTools
import TestPlaces
import Testing

@Suite("Changing the files of models")
struct ModelFilesTests {
    private let folder = TemporaryFolder()

    private func names() -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
    }

    private func removal(_ id: String) throws -> ModelRemoval {
        let entries = ModelLibrary(folders: [folder.path]).entries
        return ModelRemoval(ofModelAt: try #require(ModelLibrary.matches(id, among: entries).first).path)
    }

    @Test("models are found by their names and settings, parts as one, even if some are missing")
    func library() {
        for name in ["Fox-Q4_0.gguf", "fox-q8_0.gguf", "b-00002-of-00002.gguf", "x.gguf.part", "README.md", ".h.gguf"] {
            folder.write(name)
        }
        folder.write("b.json", #"{"id": "bear"}"#)
        let library = ModelLibrary(folders: [folder.path, folder.file("none")])
        #expect(library.entries.map(\.id) == ["fox:q4_0", "bear", "fox:q8_0"])
        #expect(library.entries[1].path == folder.file("b-00001-of-00002.gguf"))
        func matches(_ id: String) -> [String] { ModelLibrary.matches(id, among: library.entries).map(\.id) }
        #expect(matches("fox") == ["fox:q4_0", "fox:q8_0"])
        #expect(matches("fox:q8_0") == ["fox:q8_0"] && matches("bear") == ["bear"] && matches("wolf").isEmpty)
    }

    @Test("with a model go all of its parts and its settings, which no other model has")
    func removed() throws {
        for name in ["b-00001-of-00002.gguf", "b-00002-of-00002.gguf"] { folder.write(name, "12345") }
        folder.write("b.json", "{}")
        folder.write("c.gguf")
        let all = try removal("b")
        #expect(all.files.map(\.path) == ["b-00001-of-00002.gguf", "b-00002-of-00002.gguf", "b.json"].map(folder.file))
        #expect(all.files[0].byteCount == 5)
        try all.carryOut()
        #expect(names() == ["c.gguf"])
        try all.carryOut()
        folder.write("c.bin")
        folder.write("c.json", "{}")
        #expect(try removal("c").files.map(\.path) == [folder.file("c.bin")], "the settings are c.gguf's, too")
    }

    @Test("a link goes, and what it leads to stays")
    func links() throws {
        let blob = TemporaryFolder()
        let target = blob.write("blob", "12345")
        try FileManager.default.createSymbolicLink(atPath: folder.file("x.gguf"), withDestinationPath: target)
        let removal = try removal("x")
        #expect(removal.files.map(\.target) == [target] && removal.files.map(\.byteCount) == [0])
        try removal.carryOut()
        #expect(names().isEmpty && FileManager.default.fileExists(atPath: target))
    }

    @Test("a new id is written into the settings, and all else in them stays")
    func renamed() throws {
        let model = folder.write("x-00001-of-00002.gguf")
        let settings = try ModelRenaming.rename(modelAt: model, to: "fox")
        func text() throws -> String { try String(contentsOfFile: settings, encoding: .utf8) }
        #expect(settings == folder.file("x.json"))
        #expect(try text() == "{\n  \"id\": \"fox\"\n}\n")
        folder.write("x.json", #"{"threads": 2, "id": "a", "options": {"b \"": 1.50, "c": true}}"#, permissions: 0o640)
        _ = try ModelRenaming.rename(modelAt: model, to: "wolf")
        #expect(
            try text() == """
                {
                  "threads": 2,
                  "id": "wolf",
                  "options": {
                    "b \\"": 1.50,
                    "c": true
                  }
                }

                """)
        let mode = try FileManager.default.attributesOfItem(atPath: settings)[.posixPermissions] as? Int
        #expect(mode == 0o640)
        let before = try text()
        #expect(throws: (any Error).self) { try ModelRenaming.rename(modelAt: model, to: "two words") }
        #expect(try text() == before)
        folder.write("x.json", #"{"threadz": 2}"#)
        let error = #expect(throws: (any Error).self) { try ModelRenaming.rename(modelAt: model, to: "bear") }
        #expect("\(String(describing: error))".contains("did you mean 'threads'?"))
    }
}
