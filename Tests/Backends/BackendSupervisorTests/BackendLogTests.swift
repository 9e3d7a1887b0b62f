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

    private func append(_ text: String, to log: inout BackendLog, at milliseconds: UInt64 = 0) {
        var text = text
        text.withUTF8 { log.append(UnsafeRawBufferPointer($0), at: milliseconds) }
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
    }

    @Test("each line keeps its number, its process and its time, whatever is dropped before it")
    func numbers() {
        var log = log(linesMax: 3)
        log.beginProcess(7)
        append("1\n2\nhalf", to: &log, at: 10)
        #expect(log.lastNumber == 2 && log.unfinished == "half")
        log.beginProcess(8)
        append("4\n5\n", to: &log, at: 20)
        #expect(log.lastNumber == 5 && log.unfinished == "")
        #expect(log.lines(after: 0, of: log.identity).map(\.text) == ["half", "4", "5"])
        #expect(log.lines(after: 0, of: log.identity).map(\.pid) == [7, 8, 8])
        #expect(log.lines(after: 4, of: log.identity).map(\.text) == ["5"])
        #expect(log.lines(after: 4, of: log.identity).map(\.milliseconds) == [20])
        #expect(log.lines(after: 5, of: log.identity).isEmpty && log.lines(after: 100, of: log.identity).isEmpty)
        #expect(log.lines(after: 5, of: 0).count == 3, "the number counts in no log, so all are new")
        #expect(log.lines(after: 5, of: log.identity ^ 1).count == 3, "it counts in another one")
        #expect(self.log(linesMax: 3).identity != log.identity && log.identity != 0)
    }

    @Test("of more lines at once than are kept the last ones are kept, and all others counted")
    func tooManyAtOnce() {
        var log = log("begun", linesMax: 3)
        append(" before\n" + (1...50).map { "\($0)\n" }.joined() + "half", to: &log)
        #expect(log.lines == ["(48 earlier lines were dropped)", "48", "49", "50", "half"])
        append(" done\n", to: &log)
        #expect(log.lines == ["(49 earlier lines were dropped)", "49", "50", "half done"])
    }

    @Test("exactly as many lines as are kept are kept, whether or not they come at once")
    func justEnough() {
        #expect(log("1\n2\n3\n", linesMax: 3).lines == ["1", "2", "3"])
        #expect(log("0\n", "1\n2\n3\n", linesMax: 3).lines == ["(1 earlier lines were dropped)", "1", "2", "3"])
        #expect(log("0\n1\n2\n3\n", linesMax: 3).lines == ["(1 earlier lines were dropped)", "1", "2", "3"])
    }

    @Test("the lines of one process are told from those of the one before it")
    func linesOfProcess() {
        var log = log("old\nhalf", linesMax: 3)
        #expect(log.linesOfProcess == ["old", "half"])
        log.beginProcess(1)
        #expect(log.linesOfProcess == [])
        append("a\nb", to: &log)
        #expect(log.linesOfProcess == ["a", "b"])
        append("\n" + (1...9).map { "\($0)\n" }.joined(), to: &log)
        #expect(log.linesOfProcess == ["7", "8", "9"])
        log.beginProcess(1)
        #expect(log.linesOfProcess == [])
        #expect(log.lines.suffix(3) == ["7", "8", "9"])
    }
}
