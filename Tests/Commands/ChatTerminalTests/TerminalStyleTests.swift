import ChatTerminal
import Testing

struct TerminalStyleTests {
    @Test(
        "colours are for terminals that know them and people who want them",
        arguments: [
            (true, ["TERM": "xterm"], true), (false, ["TERM": "xterm"], false), (true, ["TERM": "dumb"], false),
            (true, [:], false), (true, ["TERM": ""], false), (true, ["TERM": "xterm", "NO_COLOR": "1"], false),
            (true, ["TERM": "xterm", "NO_COLOR": ""], true),
        ])
    func colours(isTerminal: Bool, environment: [String: String], areThere: Bool) {
        let style = TerminalStyle(isTerminal: isTerminal, environment: environment)
        for text in [style.prompt("x"), style.typed("x"), style.note("x")] {
            #expect(text.contains("\u{1B}[") == areThere)
            #expect(areThere ? text.hasSuffix("mx\u{1B}[0m") : text == "x")
        }
    }

    @Test func `a waiting line is written anew on a terminal and goes away`() {
        var line = WaitingLine(style: TerminalStyle(isTerminal: false, environment: [:]), columns: 80)
        #expect(line.erase() == "")
        #expect(line.show(position: 2, loadedFraction: nil) == "\r\u{1B}[K[waiting, 2 before this]")
        #expect(line.show(position: 2, loadedFraction: nil) == "")
        #expect(line.show(position: 0, loadedFraction: 0.374) == "\r\u{1B}[K[loading the model, 37 %]")
        #expect(line.erase() == "\r\u{1B}[K")
        #expect(line.erase() == "")
    }

    @Test func `elsewhere a waiting line is a line, and none says what the last one said`() {
        var line = WaitingLine(style: TerminalStyle(isTerminal: false, environment: [:]), columns: nil)
        #expect(line.show(position: 1, loadedFraction: nil) == "[waiting, 1 before this]\n")
        #expect(line.show(position: 1, loadedFraction: nil) == "")
        #expect(line.show(position: 1, loadedFraction: 0) == "[loading the model, 0 %, 1 before this]\n")
        #expect(line.show(position: 1, loadedFraction: nil, waitSeconds: 0) == "[waiting, 1 before this, about 1 s]\n")
        #expect(
            line.show(position: 1, loadedFraction: nil, waitSeconds: 119) == "[waiting, 1 before this, about 2 min]\n")
        for seconds in [-1, Int64.max] {
            _ = line.show(position: 0, loadedFraction: nil)
            #expect(line.show(position: 1, loadedFraction: nil, waitSeconds: seconds) == "[waiting, 1 before this]\n")
        }
        #expect(line.erase() == "")
    }

    @Test(arguments: [(Float.nan, "0 %"), (.infinity, "0 %"), (-1, "0 %"), (2, "100 %")])
    func `whatever a host says of its loading is a part of the whole`(fraction: Float, shown: String) {
        var line = WaitingLine(style: TerminalStyle(isTerminal: false, environment: [:]), columns: nil)
        #expect(line.show(position: 0, loadedFraction: fraction) == "[loading the model, \(shown)]\n")
    }

    @Test func `a narrow terminal gets what one row has room for`() {
        var line = WaitingLine(style: TerminalStyle(isTerminal: false, environment: [:]), columns: 10)
        #expect(line.show(position: 0, loadedFraction: 0.5) == "\r\u{1B}[K[loading ")
    }
}
