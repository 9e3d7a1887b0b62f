import SeccompFilter
import Testing

/// Filters made by hand; those of libseccomp are tried where policies are compiled.
struct FilterProgramTests {
    /// An instruction of struct sock_filter.
    private static func instruction(_ code: UInt16, _ yes: UInt8, _ no: UInt8, _ value: UInt32) -> [UInt8] {
        [UInt8(code & 0xff), UInt8(code >> 8), yes, no]
            + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// Call 1 is allowed if the upper half of its second argument is 7, call 2 denied with errno 38, call 3 logged, any
    /// other kills.
    private static let program: [UInt8] =
        instruction(0x20, 0, 0, 0) + instruction(0x15, 0, 3, 1) + instruction(0x20, 0, 0, 28)
        + instruction(0x15, 0, 3, 7) + instruction(0x06, 0, 0, 0x7fff_0000) + instruction(0x15, 2, 0, 2)
        + instruction(0x15, 2, 0, 3) + instruction(0x06, 0, 0, 0x8000_0000)
        + instruction(0x06, 0, 0, 0x0005_0026) + instruction(0x06, 0, 0, 0x7ffc_0000)

    @Test("the verdict is the one that the instructions come to, with arguments of 64 bits")
    func verdicts() throws {
        let filter = try FilterProgram(FilterProgramTests.program)
        #expect(filter.verdict(on: SystemCall(1, [0, 7 << 32])) == .allow)
        #expect(filter.verdict(on: SystemCall(1, [0, 7])) == .killProcess)
        #expect(filter.verdict(on: SystemCall(1)) == .killProcess)
        #expect(filter.verdict(on: SystemCall(2)) == .errno(38))
        #expect(filter.verdict(on: SystemCall(3)) == .log)
        #expect(filter.verdict(on: SystemCall(4)) == .killProcess)
        #expect(filter.bytes == FilterProgramTests.program)
    }

    @Test("supervised, what was denied with an errno or logged is put to the supervisor, and nothing else changes")
    func supervised() throws {
        let filter = try FilterProgram(FilterProgramTests.program).supervised
        #expect(filter.verdict(on: SystemCall(1, [0, 7 << 32])) == .allow)
        #expect(filter.verdict(on: SystemCall(2)) == .notify)
        #expect(filter.verdict(on: SystemCall(3)) == .notify)
        #expect(filter.verdict(on: SystemCall(4)) == .killProcess)
        #expect(try FilterProgram(filter.bytes) == filter)
    }

    @Test("the filter for exec alone puts both exec calls to the supervisor and lets the rest pass")
    func execution() {
        #if arch(x86_64)
            let executions: [UInt32] = [59, 322]
        #else
            let executions: [UInt32] = [221, 281]
        #endif
        for number: UInt32 in 0..<400 {
            let expected: FilterProgram.Verdict = executions.contains(number) ? .notify : .allow
            #expect(FilterProgram.executionSupervised.verdict(on: SystemCall(number)) == expected)
        }
    }

    @Test(
        "instructions that could run away, read elsewhere or end without a verdict are refused",
        arguments: [
            [], [1, 2, 3], instruction(0x20, 0, 0, 0), instruction(0x05, 0, 0, 0), instruction(0x15, 1, 0, 0),
            instruction(0x15, 0, 1, 0) + instruction(0x06, 0, 0, 0),
            instruction(0x05, 0, 0, 1) + instruction(0x06, 0, 0, 0),
            instruction(0x20, 0, 0, 64) + instruction(0x06, 0, 0, 0),
            instruction(0x20, 0, 0, 2) + instruction(0x06, 0, 0, 0),
            instruction(0x16, 0, 0, 0), instruction(0xffff, 0, 0, 0) + instruction(0x06, 0, 0, 0),
            [UInt8](repeating: 0, count: 4097 * 8),
        ] as [[UInt8]])
    func refused(bytes: [UInt8]) {
        #expect(throws: FilterError.self) { try FilterProgram(bytes) }
    }

    @Test("any change of a byte gives a filter that comes to a verdict, or is refused")
    func changedBytes() {
        for position in FilterProgramTests.program.indices {
            for value: UInt8 in [0, 1, 6, 0x15, 0x7f, 0xff] {
                var changed = FilterProgramTests.program
                changed[position] = value
                if let filter = try? FilterProgram(changed) {
                    _ = filter.verdict(on: SystemCall(1, [1, 2, 3, 4, 5, 6]))
                }
            }
        }
    }
}
