import LaunchPlan
import SeccompFilter
import Testing

@Suite("LaunchReport")
struct LaunchReportTests {
    private let reports: [LaunchReport] = [
        .supervised(SupervisedCall(SystemCall(41, [1, 2, 3, 4, 5, .max]), errno: 13, count: 1 << 40)),
        .failed(LaunchVerdict("user-namespace: unshare: Operation not permitted", isTransient: false)),
        .supervised(SupervisedCall(SystemCall(.max, [0, 0, 0, 0, 0, 0]), errno: 0, count: 1)),
        .failed(LaunchVerdict("", isTransient: true, hasBegun: true)),
    ]

    @Test("what the pipe gives in any pieces is what was put in", arguments: [1, 7, 64, 100_000])
    func pieces(size: Int) throws {
        let bytes = reports.flatMap { $0.encoded() }
        var reader = LaunchReport.Reader()
        var read: [LaunchReport] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            reader.append(bytes[start..<min(start + size, bytes.count)])
            while let report = try reader.next() { read.append(report) }
        }
        #expect(read == reports)
    }

    @Test("a record fits what a pipe takes whole, however long its reason")
    func longReason() throws {
        let record = LaunchReport.failed(
            LaunchVerdict(String(repeating: "\u{1F525}", count: 10_000), isTransient: false)
        ).encoded()
        #expect(record.count <= LaunchReport.byteCountMax)
        var reader = LaunchReport.Reader()
        reader.append(record)
        guard case .failed(let verdict) = try reader.next() else { return #expect(Bool(false), "it is a verdict") }
        #expect(verdict.reason.hasPrefix("\u{1F525}\u{1F525}"))
        #expect(verdict.reason.utf8.count <= LaunchVerdict.reasonBytesMax + 3)
    }

    @Test("what no launcher writes is refused, at whatever place it is damaged")
    func malformed() {
        func reading(_ bytes: [UInt8]) throws -> LaunchReport? {
            var reader = LaunchReport.Reader()
            reader.append(bytes)
            return try reader.next()
        }
        let good = reports[1].encoded()
        #expect(throws: LaunchPlanError.self) { try reading([0, 0, 0, 0, 0, 0, 0, 0]) }
        #expect(throws: LaunchPlanError.self) { try reading([0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]) }
        // An unknown kind, a call that is too short, a reason that is longer than the record.
        #expect(throws: LaunchPlanError.self) { try reading([8, 0, 0, 0, 9, 0, 0, 0]) }
        #expect(throws: LaunchPlanError.self) { try reading([9, 0, 0, 0, 1, 0, 0, 0, 5]) }
        var long = good
        long[16] = 0xff
        #expect(throws: LaunchPlanError.self) { try reading(long) }
        #expect(throws: Never.self) { try #expect(reading(good) == reports[1]) }
        #expect(throws: Never.self) { try #expect(reading(Array(good.dropLast())) == nil) }
    }
}
