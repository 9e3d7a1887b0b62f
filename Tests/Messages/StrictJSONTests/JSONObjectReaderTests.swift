import StrictJSON
import Testing

struct JSONObjectReaderTests {
    private func reader(_ text: String, nullIsAbsent: Bool = false) throws -> JSONObjectReader {
        try JSONObjectReader(
            JSONNode.parse(Array(text.utf8), file: "f"), "the thing", keys: ["name", "size", "parts"],
            nullIsAbsent: nullIsAbsent, file: "f")
    }

    private func refusal<Value>(_ read: () throws -> Value) -> String {
        do { return "accepted: \(try read())" } catch { return "\(error)" }
    }

    @Test func `values are taken with their types`() throws {
        let reader = try reader(#"{"name": "a", "size": 5, "parts": ["b", "c"]}"#)
        #expect(try reader.string("name") == "a")
        #expect(try reader.integer("size") == 5)
        #expect(try reader.strings("parts", max: 2)?.map(\.text) == ["b", "c"])
    }

    @Test func `a value of another type is refused with what was expected and what was found`() throws {
        let reader = try reader(#"{"name": 5, "size": "5", "parts": "b"}"#)
        #expect(refusal { try reader.string("name") } == "f:1: 'name' must be a string, not the number 5")
        #expect(refusal { try reader.integer("size") }.contains("not the string \"5\""))
        #expect(refusal { try reader.strings("parts", max: 2) } == "f:1: 'parts' must be a list, not the string \"b\"")
    }

    @Test(arguments: ["1.0", "-1", "1e2", "18446744073709551616"])
    func `a number that is none of a whole is refused`(number: String) throws {
        let reader = try reader("{\"size\": \(number)}")
        #expect(refusal { try reader.integer("size") }.contains("not the number \(number)"))
    }

    @Test func `an unknown key is refused with the nearest and with all that there are`() {
        let refusal = refusal { try reader("{\n\"nmae\": 1}") }
        #expect(refusal == "f:2: the thing: unknown key 'nmae' (did you mean 'name'?); there are name, parts, size")
    }

    @Test func `null is no value, unless programs write it for none`() throws {
        #expect(refusal { try reader(#"{"size": null}"#) }.contains("'size' is null"))
        #expect(try reader(#"{"size": null}"#, nullIsAbsent: true).integer("size") == nil)
    }
}
