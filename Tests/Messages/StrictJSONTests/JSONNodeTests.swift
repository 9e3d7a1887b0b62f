import StrictJSON
import Testing

struct JSONNodeTests {
    private func refusal(_ bytes: [UInt8]) -> String {
        do {
            _ = try JSONNode.parse(bytes, file: "f.json")
            return "accepted"
        } catch { return error.description }
    }

    @Test func `a text is read with the line of each value`() throws {
        let node = try JSONNode.parse(Array("{\n\"a\": [1,\n-2.5e3, \"\\u00e9\"],\n\"b\": null}".utf8), file: "f")
        guard case .object(let members) = node.value, case .array(let elements) = members[0].node.value else {
            Issue.record("no object with a list")
            return
        }
        #expect(members.map(\.key) == ["a", "b"])
        #expect(members.map(\.line) == [2, 4])
        #expect(elements.map(\.line) == [2, 3, 3])
        #expect(elements.map(\.value) == [.number("1"), .number("-2.5e3"), .string("é")])
    }

    @Test(
        "what is no JSON is refused with its line and what is wrong",
        arguments: [
            ("", "f.json:1: the text ends"), ("{\n\"a\": 1", "f.json:2: expected '}'"),
            ("{\"a\": 1,\n}", "f.json:2: a comma stands before '}'"),
            ("[1,\n2,]", "f.json:2: a comma stands before ']'"),
            ("{\n// no\n\"a\": 1}", "f.json:2: JSON has no comments"), ("{\"a\": /* no */ 1}", "JSON has no comments"),
            ("{\"a\": 1}\n# no", "f.json:2: JSON has no comments"), ("{'a': 1}", "JSON's quotes are \""),
            ("{\"a\": 1,\n\"a\": 1}", "f.json:2: key 'a' stands twice"), ("{} {}", "text follows"),
            ("{\"a\": NaN}", "'NaN' is no JSON value"), ("{\"a\": -Infinity}", "is no JSON value"),
            ("{\"a\": 01}", "'01' is no JSON value"), ("{\"a\": 1.}", "is no JSON value"),
            ("{\"a\": +1}", "is no JSON"),
            ("{\"a\": 1e999}", "is no JSON value"), ("{\"a\": 0x10}", "is no JSON value"), ("{\"a\": True}", "'True'"),
            ("{\"a\": \"\n\"}", "not closed on its line"), ("{\"a\": \"\\ud800\"}", "surrogate"),
            (String(repeating: "[", count: 100_000), "nested deeper than 16"), ("\u{FEFF}{}", "byte order mark"),
        ])
    func refusals(text: String, says: String) {
        let refusal = refusal(Array(text.utf8))
        #expect(refusal.contains(says), "\(refusal)")
    }

    @Test func `bytes that are no UTF-8 are refused`() {
        #expect(refusal([0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00]).contains("UTF-8"))
        #expect(refusal(Array("{\"a\": \"".utf8) + [0xC3] + Array("\"}".utf8)).contains("UTF-8"))
    }

    @Test func `a list of very many keys costs no more than its bytes`() throws {
        let text = "{" + (0..<60_000).map { "\"\($0)\":0" }.joined(separator: ",") + "}"
        guard case .object(let members) = try JSONNode.parse(Array(text.utf8), file: "f").value else {
            Issue.record("no object")
            return
        }
        #expect(members.count == 60_000)
    }

    @Test func `what was found is told in few words, however much it is`() throws {
        let long = try JSONNode.parse(Array("\"\(String(repeating: "x", count: 10_000))\"".utf8), file: "f")
        #expect(long.found.count < 100)
        for (text, found) in [
            ("5", "the number 5"), ("null", "null"), ("\"a\"", "the string \"a\""), ("[]", "an empty list"),
            ("[1]", "a list"), ("{}", "an object"), ("true", "true"), ("\"\"", "an empty string"),
        ] {
            #expect(try JSONNode.parse(Array(text.utf8), file: "f").found == found)
        }
    }
}
