import InferenceMessages
import StrictJSON
import SwiftProtobuf
import Testing

@testable import ChatTerminal

struct ToolFileTests {
    private func tools(_ text: String) throws -> [Hearth_V1_Tool] {
        try ToolFile.tools(Array(text.utf8), file: "t.json")
    }

    private func refusal(_ text: String) -> String {
        do {
            return "\(try tools(text))"
        } catch {
            return "\(error)"
        }
    }

    @Test func `tools are read with or without OpenAI's wrapper, in the file's order`() throws {
        let found = try tools(
            """
            [{"type": "function", "function": {"name": "b", "description": "Ü", "parameters": {"z": 1, "a": [true, "ü"]}}},
             {"name": "a"}]
            """)
        #expect(found.map(\.name) == ["b", "a"])
        #expect(found[0].description_p == "Ü")
        #expect(found[0].parameters.filter { !$0.isWhitespace } == #"{"z":1,"a":[true,"ü"]}"#)
        #expect(found[1].parameters.isEmpty && found[1].description_p.isEmpty)
        #expect(try tools("[]").isEmpty)
    }

    @Test(arguments: [
        ("{}", "t.json:1: this must be a list of tools, not an object"),
        ("[1]", "t.json:1: a tool must be an object, not a number"),
        ("[{}]", "t.json:1: 'name' is missing"),
        ("[\n{\"name\": \"a\", \"parameter\": {}}]", "t.json:2: a tool: unknown key 'parameter'"),
        ("[{\"name\": \"a\", \"parameters\": []}]", "'parameters' must be a JSON schema, an object, not an empty list"),
        ("[{\"type\": \"web\", \"function\": {\"name\": \"a\"}}]", "'type' must be \"function\""),
    ])
    func `what is no tool is named with its line`(text: String, part: String) {
        #expect(refusal(text).contains(part), "\(refusal(text))")
    }
}
