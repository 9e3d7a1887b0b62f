import BackendKit
import LlamaPlanning
import Testing

struct CallProgressTests {
    @Test func `a call's first part has its name and an id, and each part whole scalars`() {
        var progress = CallProgress()
        #expect(progress.unfinished == nil)
        let first = progress.part(index: 0, id: "given", name: "get", arguments: Array("{\"".utf8) + [0xc3])
        #expect(first == ToolCallPart(index: 0, id: "given", name: "get", arguments: "{\""))
        #expect(progress.unfinished == "get")
        #expect(progress.part(index: 0, id: "", name: "", arguments: []) == nil)
        #expect(
            progress.part(index: 0, id: "", name: "", arguments: [0xbc, 0x22])
                == ToolCallPart(index: 0, arguments: "ü\""))
        #expect(progress.part(index: 0, id: "", name: "", arguments: Array(":1}".utf8)) != nil)
        #expect(progress.unfinished == nil)
        let second = progress.part(index: 1, id: "", name: "set", arguments: [])
        #expect(second?.name == "set" && second?.id.utf8.count == 9 && second?.id != "given")
        #expect(progress.unfinished == "set")
    }

    @Test func `arguments that are no JSON object never become whole`() {
        for text in ["[1]", "{\"a\":}", "{} x"] {
            var progress = CallProgress()
            _ = progress.part(index: 0, id: "", name: "get", arguments: Array(text.utf8))
            _ = progress.part(index: 0, id: "", name: "", arguments: Array("}".utf8))
            #expect(progress.unfinished == "get", "\(text)")
        }
        var half = CallProgress()
        _ = half.part(index: 0, id: "", name: "get", arguments: Array("{}".utf8) + [0xc3])
        #expect(half.unfinished == "get")
    }

    @Test func `a part is cut between scalars, and nothing is lost`() {
        let part = ToolCallPart(index: 3, id: "a", name: "get", arguments: "äöü")
        let least = part.byteCount - 6
        #expect(part.cut(bytesMax: least) == nil)
        #expect(part.cut(bytesMax: least + 1) == nil)
        for (room, head, tail) in [(2, "ä", "öü"), (3, "ä", "öü"), (5, "äö", "ü")] {
            let cut = part.cut(bytesMax: least + room)
            #expect(cut?.0 == ToolCallPart(index: 3, id: "a", name: "get", arguments: head))
            #expect(cut?.1 == ToolCallPart(index: 3, arguments: tail))
        }
    }
}
