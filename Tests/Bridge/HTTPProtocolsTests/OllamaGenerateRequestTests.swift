import HTTPProtocols
import InferenceMessages
import SwiftProtobuf
import Testing

struct OllamaGenerateRequestTests {
    private func read(_ members: String) throws(HTTPFailure) -> Hearth_V1_GenerateRequest {
        try OllamaGenerateRequest(Array(#"{"model": "m", \#(members)}"#.utf8)).generate
    }

    @Test func `a prompt is the question of a conversation`() throws {
        let messages = try read(#""prompt": "Why?", "system": "Be brief.""#).messages.messages
        #expect(messages.map(\.role) == [.system, .user])
        #expect(messages.map(\.content) == ["Be brief.", "Why?"])
        #expect(try read(#""prompt": "Why?", "raw": false"#).messages.messages.map(\.role) == [.user])
    }

    @Test func `a raw prompt is given to the model as it is`() throws {
        #expect(try read(#""prompt": " Once", "raw": true"#).prompt == .text(" Once"))
    }

    @Test func `what clients always send empty changes nothing`() throws {
        let empty =
            #""prompt": "Hi", "suffix": "", "system": "", "template": "", "context": [], "images": [], "options": null"#
        #expect(try read(empty) == read(#""prompt": "Hi""#))
    }

    @Test(
        "what cannot be taken is refused by its path",
        arguments: [
            (#""context": [1, 2]"#, "context", "/api/chat"), (#""images": ["aGk="]"#, "images", "prompts are text"),
            (#""suffix": "end""#, "suffix", "'prompt'"), (#""template": "{{ .Prompt }}""#, "template", "'raw'"),
            (#""raw": true, "system": "Be brief.""#, "system", "beside 'raw'"), (#""raw": 1"#, "raw", "true or false"),
            (#""prompt": ["Hi"]"#, "prompt", "a string"), (#""system": 1"#, "system", "a string"),
            (#""width": 64"#, "width", "answers are text"), (#""height": 64"#, "height", "answers are text"),
            (#""steps": 2"#, "steps", "answers are text"), (#""messages": []"#, "messages", "not supported"),
            (#""tools": []"#, "tools", "not supported"),
        ])
    func refusals(members: String, param: String, text: String) throws {
        let prompt = members.contains("prompt") ? "" : #""prompt": "Hi", "#
        do throws(HTTPFailure) {
            _ = try read(prompt + members)
            Issue.record("\(members) was taken")
        } catch {
            #expect(error.statusCode == 400)
            #expect(error.param == param)
            #expect(error.message.contains(text))
        }
    }
}
