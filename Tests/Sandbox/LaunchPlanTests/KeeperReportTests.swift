import LaunchPlan
import LinuxSystem
import SeccompFilter
import Testing

@Suite("KeeperReport")
struct KeeperReportTests {
    static let use = ResourceUse(processorMicroseconds: 1 << 40, memoryBytes: 7 << 30)
    private static let reports: [KeeperReport] = [
        .started, .failed(reason: "user-namespace: unshare: Operation not permitted", isTransient: false),
        .failed(reason: "", isTransient: true),
        .supervised(SupervisedCall(SystemCall(41, [1, 2, 3, 4, 5, .max]), errno: 13, count: 1 << 40)),
        .supervised(SupervisedCall(SystemCall(.max, [0, 0, 0, 0, 0, 0]), errno: 0, count: 1)), .frozen, .thawed,
        .ended(.exited(0), use), .ended(.exited(255), use), .ended(.signalled(1), use), .ended(.signalled(64), use),
    ]

    @Test("what is read is what was written")
    func roundTrip() throws {
        for report in Self.reports { #expect(try KeeperReport(decoding: report.encoded()) == report) }
    }

    @Test("a datagram that is cut short anywhere, or goes on, is refused")
    func lengths() {
        for bytes in Self.reports.map({ $0.encoded() }) {
            for count in bytes.indices {
                #expect(throws: RecordError.self) { try KeeperReport(decoding: Array(bytes[..<count])) }
            }
            #expect(throws: RecordError.self) { try KeeperReport(decoding: bytes + [0]) }
        }
        let tooLong = [UInt8](repeating: 1, count: KeeperReport.byteCountMax + 1)
        #expect(throws: RecordError.self) { try KeeperReport(decoding: tooLong) }
    }

    @Test("a byte that means nothing is refused")
    func unknown() {
        for kind: UInt8 in [0, 7, 255] { #expect(throws: RecordError.self) { try KeeperReport(decoding: [kind]) } }
        // A failure that is neither transient nor not, a reason that is no text, an end that is neither, signals 0 and 65.
        let end = KeeperReport.ended(.exited(0), Self.use).encoded()
        let invalid: [[UInt8]] = [
            [2, 2, 0, 0, 0, 0], [2, 0, 1, 0, 0, 0, 0xff], [6, 2] + end[2...], [6, 1, 0] + end[3...],
            [6, 1, 65] + end[3...],
        ]
        for bytes in invalid { #expect(throws: RecordError.self) { try KeeperReport(decoding: bytes) } }
    }

    @Test("any byte changed is another report, or refused, and never more than that")
    func changed() {
        for bytes in Self.reports.map({ $0.encoded() }) {
            for position in bytes.indices {
                for value: UInt8 in [0, 1, 2, 6, 0x7f, 0x80, 0xff] {
                    var changed = bytes
                    changed[position] = value
                    if let report = try? KeeperReport(decoding: changed) { #expect(report.encoded() == changed) }
                }
            }
        }
    }

    @Test("a report fits into a datagram, however long its reason")
    func longReason() throws {
        let bytes = KeeperReport.failed(reason: String(repeating: "\u{1F525}", count: 10_000), isTransient: false)
            .encoded()
        #expect(bytes.count <= KeeperReport.byteCountMax)
        guard case .failed(let reason, false) = try KeeperReport(decoding: bytes) else {
            return #expect(Bool(false), "it is a failure")
        }
        #expect(reason.hasPrefix("\u{1F525}\u{1F525}"))
        #expect(reason.utf8.count <= KeeperReport.reasonBytesMax + 3)
    }

    @Test("a command is one byte, and only two are")
    func commands() {
        for command in [KeeperCommand.freeze, .thaw] { #expect(KeeperCommand(decoding: command.encoded()) == command) }
        let known = (0...255).filter { KeeperCommand(decoding: [UInt8($0)]) != nil }
        #expect(known == [1, 2])
        for bytes: [UInt8] in [[], [1, 1], [2, 0], [UInt8](repeating: 1, count: 4097)] {
            #expect(KeeperCommand(decoding: bytes) == nil)
        }
    }
}
