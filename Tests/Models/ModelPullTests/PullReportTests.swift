import LinuxSystem
import Testing

@testable import ModelPull

struct PullReportTests {
    private func moment(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    @Test func `a terminal gets one line that is drawn anew, with the rate and the rest of the time`() {
        var report = PullReport(columns: 100)
        _ = report.take(PullEvent(.found, "fox.gguf", total: 100 << 20), at: moment(0))
        _ = report.take(PullEvent(.downloading, done: 0, total: 100 << 20), at: moment(0))
        let line = report.take(PullEvent(.downloading, done: 20 << 20, total: 100 << 20), at: moment(2_000))
        #expect(line.hasPrefix("\r\u{1B}[Kfox.gguf [####"))
        #expect(line.hasSuffix("] 20 %  20.0/100.0 MiB  10.0 MiB/s  8 s left"))
        #expect(report.take(PullEvent(.note, "x\u{1B}[2J"), at: moment(3_000)) == "\r\u{1B}[Kx\u{FFFD}[2J\n")
    }

    @Test("a line is never wider than the terminal", arguments: [1, 5, 20, 40, 60, 80, 200])
    func width(columns: Int) {
        var report = PullReport(columns: columns)
        _ = report.take(PullEvent(.found, "日本語-model.gguf", total: 1 << 40), at: moment(0))
        for step: UInt64 in 0...10 {
            let line = report.take(PullEvent(.downloading, done: step << 33, total: 1 << 40), at: moment(step * 400))
            let shown = line.dropFirst("\r\u{1B}[K".count)
            #expect(shown.unicodeScalars.reduce(0) { $0 + ($1.value > 0x2E80 ? 2 : 1) } < max(columns, 2))
        }
    }

    @Test func `elsewhere there is a line for each tenth`() {
        var report = PullReport(columns: nil)
        _ = report.take(PullEvent(.found, "fox.gguf", total: 1_000), at: moment(0))
        let lines = (0...100).map { report.take(PullEvent(.downloading, done: $0 * 10, total: 1_000), at: moment($0)) }
        #expect(lines.filter { !$0.isEmpty }.count == 10)
        #expect(lines[35].isEmpty)
        #expect(lines[30] == "downloading fox.gguf, 30 %\n")
    }
}
