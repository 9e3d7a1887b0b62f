import Testing

@testable import BackendSupervisor

@Suite("BackendLog")
struct BackendLogTests {
    private func log(_ pieces: String..., bytesMax: Int = 1_000, linesMax: Int = 10, lineBytesMax: Int = 100)
        -> BackendLog
    {
        var log = BackendLog(bytesMax: bytesMax, linesMax: linesMax, lineBytesMax: lineBytesMax)
        for piece in pieces { append(piece, to: &log) }
        return log
    }

    private func append(_ text: String, to log: inout BackendLog) {
        var text = text
        text.withUTF8 { log.append(UnsafeRawBufferPointer($0)) }
    }

    @Test("lines come out whole however they were cut")
    func pieces() {
        #expect(log("on", "e\ntw", "o\r\n", "three").lines == ["one", "two", "three"])
        #expect(log().lines.isEmpty)
    }

    @Test("the oldest lines are dropped and counted")
    func droppedLines() {
        var log = log(linesMax: 3)
        for number in 1...10 { append("\(number)\n", to: &log) }
        #expect(log.lines == ["(7 earlier lines were dropped)", "8", "9", "10"])
    }

    @Test("its bytes are bounded whatever is written")
    func floodOfBytes() {
        var log = log(bytesMax: 1_000, linesMax: 1_000_000, lineBytesMax: 64)
        for _ in 0..<10_000 { append(String(repeating: "x", count: 99), to: &log) }
        #expect(log.lines.reduce(0) { $0 + $1.utf8.count } <= 1_000 + 64 + 64)
        #expect(log.droppedLines > 10_000)
    }

    @Test("empty lines are bounded too")
    func floodOfLines() {
        var log = log(linesMax: 5)
        append(String(repeating: "\n", count: 100_000), to: &log)
        #expect(log.lines.count == 6)
    }

    @Test("what could steer a terminal is made harmless")
    func controlCharacters() {
        #expect(log("\u{1B}[2Jred\u{7}\n").lines == ["\u{FFFD}[2Jred\u{FFFD}"])
        #expect(printable("a\u{202E}b\u{2028}c\td") == "a\u{FFFD}b\u{FFFD}c\td")
        #expect(printable([0x61, 0xff, 0x62]) == "a\u{FFFD}b")
    }

    @Test("the last line that says something is found")
    func lastLine() {
        #expect(log("no user namespaces\n\n").lastLine == "no user namespaces")
        #expect(log("a\nb").lastLine == "b")
        #expect(log("\n").lastLine == nil)
    }
}
