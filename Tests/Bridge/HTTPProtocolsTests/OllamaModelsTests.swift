import Foundation
import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct OllamaModelsTests {
    private static let chat = Hearth_V1_Model.with {
        $0.id = "smol:q4_1"
        $0.digest = Data([0x0A, 0xFF])
        $0.maxContextTokens = 8_192
        $0.capabilities = ["generate", "count_tokens", "chat", "tools", "reasoning", "images", "audio"]
        $0.state = .ready
    }
    private static let embedding = Hearth_V1_Model.with {
        $0.id = "mini"
        $0.capabilities = ["embed"]
        $0.embedding.dimensions = 384
        $0.state = .unloaded
    }
    private let details =
        #""details":{"parent_model":"","format":"","family":"","families":[],"parameter_size":"","#
        + #""quantization_level":""}"#
    private let zeros = String(repeating: "0", count: 64)

    private func show(_ name: String, _ models: [Hearth_V1_Model]) throws(HTTPFailure) -> String {
        let request = try OllamaShowRequest(Array(#"{"model": "\#(name)"}"#.utf8))
        return try OllamaModels.show(request, among: models).text
    }

    @Test func `tags are all models, with digests that have digits`() {
        #expect(
            OllamaModels.tags([Self.chat, Self.embedding]).text
                == #"{"models":[{"name":"smol:q4_1","model":"smol:q4_1","size":0,"digest":"0aff",\#(details),"#
                + #""modified_at":"1970-01-01T00:00:00Z","#
                + #""capabilities":["completion","tools","thinking","vision","audio"]},"#
                + #"{"name":"mini","model":"mini","size":0,"digest":"\#(zeros)",\#(details),"#
                + #""modified_at":"1970-01-01T00:00:00Z","capabilities":["embedding"]}]}"#)
        #expect(OllamaModels.tags([]).text == #"{"models":[]}"#)
    }

    @Test func `those in memory are the ready ones`() {
        var loading = Self.chat
        loading.state = .loading
        var failed = Self.chat
        failed.state = .unavailable
        #expect(
            OllamaModels.ps([Self.chat, Self.embedding, loading, failed]).text
                == #"{"models":[{"name":"smol:q4_1","model":"smol:q4_1","size":0,"digest":"0aff",\#(details),"#
                + #""expires_at":"2200-01-01T00:00:00Z","size_vram":0,"context_length":8192}]}"#)
    }

    @Test func `a model that is shown has its context and its vectors where they are known`() throws {
        let rest = #""modified_at":"1970-01-01T00:00:00Z"}"#
        let begin = #"{"license":"","modelfile":"","parameters":"","template":"",\#(details),"model_info":{"#
        #expect(
            try show("smol:q4_1", [Self.chat, Self.embedding])
                == begin + #""general.architecture":"unknown","general.basename":"smol:q4_1","#
                + #""unknown.context_length":8192},"#
                + #""capabilities":["completion","tools","thinking","vision","audio"],"# + rest)
        #expect(
            try show("mini:latest", [Self.chat, Self.embedding])
                == begin + #""general.architecture":"unknown","general.basename":"mini","#
                + #""unknown.embedding_length":384},"capabilities":["embedding"],"# + rest)
    }

    @Test func `a name may leave out what stands behind the colon, where one model has it`() throws {
        var other = Self.chat
        other.id = "smol:f16"
        #expect(try show("smol", [Self.chat, Self.embedding]).contains(#""general.basename":"smol:q4_1""#))
        #expect(try show("smol:f16", [Self.chat, other]).contains(#""general.basename":"smol:f16""#))
        let several = #expect(throws: HTTPFailure.self) { try show("smol", [Self.chat, other]) }
        #expect(several?.statusCode == 400)
        #expect(several?.message.contains("smol:q4_1, smol:f16") == true)
        for name in ["smo", "smol:q4", "nothing"] {
            let failure = #expect(throws: HTTPFailure.self) { try show(name, [Self.chat, other]) }
            #expect(failure?.statusCode == 404)
            #expect(failure?.param == "model")
        }
    }

    @Test func `the version is three numbers`() {
        #expect(OllamaModels.versionObject.text == #"{"version":"\#(OllamaModels.version)"}"#)
        #expect(OllamaModels.version.split(separator: ".").compactMap { Int($0) }.count == 3)
    }

    @Test(
        "the model to show is in one of two members",
        arguments: [
            #"{"model": "m"}"#, #"{"name": "m:latest"}"#, #"{"model": "", "name": "m"}"#,
            #"{"model": "m", "name": "m", "verbose": true, "system": "", "template": "", "options": null}"#,
        ])
    func showRequests(body: String) throws { #expect(try OllamaShowRequest(Array(body.utf8)).model == "m") }

    @Test(
        "a request to show that cannot be taken is refused by its path",
        arguments: [
            ("{}", "model"), (#"{"model": "a", "name": "b"}"#, "name"), (#"{"model": 1}"#, "model"),
            (#"{"model": "m", "system": "Be brief."}"#, "system"), (#"{"model": "m", "template": "t"}"#, "template"),
            (#"{"model": "m", "options": {"seed": 1}}"#, "options"), (#"{"model": "m", "colour": 1}"#, "colour"),
        ])
    func refusedShows(body: String, param: String) {
        let failure = #expect(throws: HTTPFailure.self) { try OllamaShowRequest(Array(body.utf8)) }
        #expect(failure?.statusCode == 400)
        #expect(failure?.param == param)
    }
}
