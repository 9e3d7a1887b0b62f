import Foundation
import TerminalText
import Testing

struct PrintableTests {
    @Test(
        "a line can neither steer a terminal nor forge another line",
        arguments: [
            ("\u{1B}]52;c;aGk=\u{7}", "\u{FFFD}]52;c;aGk=\u{FFFD}"), ("a\nb\r\nc", "a\u{FFFD}b\u{FFFD}\u{FFFD}c"),
            ("a\u{9B}31mb", "a\u{FFFD}31mb"), ("a\u{202E}b\u{2066}c", "a\u{FFFD}b\u{FFFD}c"),
            ("a\u{2028}b\u{200B}c\u{7F}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}"),
            ("tab\tstays, é 日本 too", "tab\tstays, é 日本 too"),
        ])
    func lines(text: String, shown: String) {
        #expect(printable(text) == shown)
    }

    @Test func `bytes that are no text are shown as such, and a return at the end is no part of the line`() {
        #expect(printable([0x61, 0xff, 0x62]) == "a\u{FFFD}b")
        #expect(printable(Array("line\r".utf8)) == "line")
    }

    @Test func `a model's text keeps its lines and loses what steers a terminal`() {
        #expect(PrintableText.printable("a\n\tb\u{1B}[2J\u{202E}c\u{8}") == "a\n\tb\u{FFFD}[2J\u{FFFD}c\u{FFFD}")
        #expect(PrintableText.printable("a\r\nb\rc\r") == "a\nb\u{FFFD}c\u{FFFD}")
    }

    @Test(
        "a model's text keeps what languages need",
        arguments: [
            "می‌خواهم", "क्‍ष", "👩‍👩‍👧‍👦 ❤️ 🏴\u{E0067}\u{E0062}\u{E007F}", "‏שלום‎ (x)", "العربية\u{061C}", "葛\u{E0100}",
            "a\u{AD}b",
        ])
    func languages(text: String) {
        #expect(PrintableText.printable(text) == text)
    }

    @Test func `a text that comes scalar by scalar is shown as if it came at once`() {
        let text = "a\r\n\u{1B}]0;x\u{7}\r\u{9B}é\r\r\n日\r"
        var filter = PrintableText()
        let shown = text.unicodeScalars.map { filter.take(String($0)) }.joined() + filter.end()
        #expect(shown == PrintableText.printable(text))
        #expect(!shown.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\r" || $0 == "\u{9B}" })
    }

    @Test func `JSON says the same with nothing in it that steers a terminal`() throws {
        let object = ["a\u{202E}b": "\u{9B}31m \u{85} é"]
        let data = try JSONEncoder().encode(object)
        let shown = printableJSON(String(decoding: data, as: UTF8.self))
        #expect(!shown.unicodeScalars.contains { $0 == "\u{202E}" || $0 == "\u{9B}" || $0 == "\u{85}" })
        #expect(try JSONDecoder().decode([String: String].self, from: Data(shown.utf8)) == object)
        #expect(printableJSON("{\n  \"a\": 1\n}") == "{\n  \"a\": 1\n}")
    }
}
