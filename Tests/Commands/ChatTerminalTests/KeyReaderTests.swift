import Testing

@testable import ChatTerminal

struct KeyReaderTests {
    @Test(
        "keys are what terminals send for them",
        arguments: [
            ("a", [EditorKey.text("a")]), ("日本", [.text("日本")]), ("\r", [.enter]), ("\n", [.enter]),
            ("\t", [.text("\t")]),
            ("\u{1}", [.home]), ("\u{5}", [.end]), ("\u{B}", [.killToEnd]), ("\u{15}", [.killToHome]),
            ("\u{17}", [.killWordLeft]), ("\u{C}", [.clearScreen]), ("\u{19}", [.yank]), ("\u{12}", [.search]),
            ("\u{3}", [.interrupt]), ("\u{4}", [.deleteOrEnd]), ("\u{1A}", [.suspend]), ("\u{1C}", [.quit]),
            ("\u{7F}", [.backspace]), ("\u{8}", [.backspace]), ("\u{1B}[A", [.older]), ("\u{1B}OB", [.newer]),
            ("\u{1B}[C\u{1B}[D", [.right, .left]), ("\u{1B}[1;5C", [.wordRight]), ("\u{1B}[1;3D", [.wordLeft]),
            ("\u{1B}[H\u{1B}[4~", [.home, .end]), ("\u{1B}[1~\u{1B}OF", [.home, .end]), ("\u{1B}[3~", [.delete]),
            ("\u{1B}b\u{1B}f\u{1B}d", [.wordLeft, .wordRight, .killWordRight]), ("\u{1B}\u{7F}", [.killWordLeft]),
            ("\u{1B}\r", [.lineBreak]), ("ab\u{3}c", [.text("ab"), .interrupt, .text("c")]),
        ])
    func keys(sent: String, expected: [EditorKey]) {
        var reader = KeyReader()
        #expect(reader.take(sent.utf8) == expected)
    }

    @Test(
        "what is unknown or broken is left out, and the keys around it are not",
        arguments: [
            "\u{1B}[15~", "\u{1B}[99;99;99x", "\u{1B}[[A", "\u{1B}OZ", "\u{0}", "\u{1B}x", "\u{1B}\u{1B}[Z",
            "\u{1B}[<0;1;1M", "\u{1B}[" + String(repeating: "1", count: 40) + "\u{0}", "\u{1B}[1\u{0}",
        ])
    func unknown(sent: String) {
        var reader = KeyReader()
        let keys = reader.take("a".utf8) + reader.take(sent.utf8) + reader.take("\u{3}".utf8)
        #expect(keys.first == .text("a"))
        #expect(keys.last == .interrupt)
    }

    @Test func `bytes that are no UTF-8 are left out`() {
        var reader = KeyReader()
        #expect(reader.take([0x61, 0xFF, 0xC3, 0x62, 0x80, 0xED, 0xA0, 0x80, 0x63]) == [.text("abc")])
    }

    @Test func `a paste is one key, whatever it holds`() {
        var reader = KeyReader()
        let keys = reader.take("a\u{1B}[200~one\r\u{3}two\u{1B}[A\u{1B}[201~\r".utf8)
        #expect(keys == [.text("a"), .paste("one\r\u{3}two\u{1B}[A"), .enter])
        #expect(reader.take("\u{1B}[200~\u{1B}[201~b".utf8) == [.paste(""), .text("b")])
    }

    @Test func `a paste has a bound`() {
        var reader = KeyReader()
        _ = reader.take("\u{1B}[200~".utf8)
        for _ in 0..<20 { #expect(reader.take([UInt8](repeating: 0x61, count: 100_000)) == []) }
        let keys = reader.take("\u{1B}[201~".utf8)
        #expect(keys == [.paste(String(repeating: "a", count: KeyReader.pasteBytesMax))])
    }

    @Test func `what comes byte by byte is the same as what comes at once`() {
        let sent = "é日👩‍👧\u{1B}[1;5C\u{1B}OA\u{1B}b\u{1B}[200~x\ny\u{1B}[20\u{1B}[201~z\u{1B}[3~\u{1B}[[A\r"
        var (whole, split) = (KeyReader(), KeyReader())
        let atOnce = whole.take(sent.utf8)
        func merged(_ keys: [EditorKey]) -> [EditorKey] {
            keys.reduce(into: []) { all, key in
                if case .text(let text) = key, case .text(let before) = all.last {
                    all[all.count - 1] = .text(before + text)
                } else {
                    all.append(key)
                }
            }
        }
        #expect(merged(sent.utf8.flatMap { split.take([$0]) }) == atOnce)
        #expect(atOnce.contains(.paste("x\ny\u{1B}[20")))
    }
}
