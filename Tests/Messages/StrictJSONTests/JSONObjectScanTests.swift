import StrictJSON
import Testing

@Suite struct JSONObjectScanTests {
    private typealias Flaw = JSONObjectScan.Flaw

    /// The flaw of a text that is read in pieces of so many bytes; nil: it is an object.
    private static func flaw(_ text: String, piece: Int) -> String? {
        let bytes = Array(text.utf8)
        var scan = JSONObjectScan()
        do throws(Flaw) {
            for start in stride(from: 0, to: bytes.count, by: piece) {
                let result = bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { piece in
                    Result { () throws(Flaw) in try scan.read(piece) }
                }
                try result.get()
            }
            try scan.end()
            return nil
        } catch {
            return error.sentence
        }
    }

    @Test(arguments: [
        "{}", " \n{ } \t\r\n", #"{"a":1}"#, #"{"a":[],"b":[1,2],"c":{"d":null}}"#,
        #"{"a":-0,"b":0.5,"c":-12.25e+10,"d":1E5,"e":0e-1}"#, #"{"a":true,"b":false,"c":null}"#,
        #"{"\"\\\/\b\f\n\r\té":"ä 日本語"}"#, #"{"a":[[[[{"b":[{}]}]]]]}"#, #"{"a" : [ 1 , "2" , { "b" : 3 } ] }"#,
    ])
    func objects(text: String) {
        for piece in [1, 2, 3, 1_000] { #expect(Self.flaw(text, piece: piece) == nil, "\(text)") }
    }

    @Test(arguments: [
        ("", "ends at byte 0 before its JSON object does"),
        ("{", "ends at byte 1 before its JSON object does"),
        (#"{"a":1"#, "ends at byte 6 before its JSON object does"),
        (#"{"a":"#, "ends at byte 5 before its JSON object does"),
        ("[]", "is no JSON object: '[' stands at byte 0, in place of its '{'"),
        ("1", "is no JSON object: '1' stands at byte 0, in place of its '{'"),
        ("{} x", "is no JSON object: 'x' stands at byte 3, in place of the end of the text"),
        ("{}{}", "is no JSON object: '{' stands at byte 2, in place of the end of the text"),
        ("{a:1}", "is no JSON object: 'a' stands at byte 1, in place of a name or '}'"),
        (#"{"a":1,}"#, "is no JSON object: '}' stands at byte 7, in place of a name"),
        (#"{"a" 1}"#, "is no JSON object: '1' stands at byte 5, in place of ':'"),
        (#"{"a":}"#, "is no JSON object: '}' stands at byte 5, in place of a value"),
        (#"{"a":[1,]}"#, "is no JSON object: ']' stands at byte 8, in place of a value"),
        (#"{"a":[1}"#, "is no JSON object: '}' stands at byte 7, in place of ',' or ']'"),
        (#"{"a":1]"#, "is no JSON object: ']' stands at byte 6, in place of ',' or '}'"),
        (#"{"a":01}"#, "is no JSON object: '1' stands at byte 6, in place of ',' or '}'"),
        (#"{"a":1.}"#, "is no JSON object: '}' stands at byte 7, in place of a digit"),
        (#"{"a":-}"#, "is no JSON object: '}' stands at byte 6, in place of a digit"),
        (#"{"a":1e}"#, "is no JSON object: '}' stands at byte 7, in place of a digit"),
        (#"{"a":+1}"#, "is no JSON object: '+' stands at byte 5, in place of a value"),
        (#"{"a":trUe}"#, "is no JSON object: 'U' stands at byte 7, in place of true"),
        (#"{"a":NaN}"#, "is no JSON object: 'N' stands at byte 5, in place of a value"),
        (#"{"a":"\x"}"#, "is no JSON object: 'x' stands at byte 7, in place of an escape's letter"),
        (#"{"a":"\u12g4"}"#, "is no JSON object: 'g' stands at byte 10, in place of a hexadecimal digit"),
        (
            "{\"a\":\"\n\"}",
            "is no JSON object: the byte a stands at byte 6, in place of a character that a string may hold unescaped"
        ),
        (#"{'a':1}"#, "is no JSON object: ''' stands at byte 1, in place of a name or '}'"),
    ])
    func others(text: String, flaw: String) {
        for piece in [1, 2, 1_000] { #expect(Self.flaw(text, piece: piece) == flaw, "\(text)") }
    }

    @Test func nesting() {
        func nested(_ depth: Int) -> String {
            #"{"a":"# + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(Self.flaw(nested(64), piece: 7) == nil)
        #expect(Self.flaw(nested(65), piece: 7) == "is nested deeper than 64 objects and arrays at byte 68")
        #expect(Self.flaw(nested(10_000), piece: 7) == "is nested deeper than 64 objects and arrays at byte 68")
    }
}
