import SandboxPolicy
import Testing

@testable import SandboxAudit

@Suite struct DeclaredEscapeTests {
    /// One instruction: BPF_RET with this value.
    private func filter(returning value: UInt32) -> [UInt8] {
        [6, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    private let risks = ["path-existence", "threads-unlimited", "shared-kernel"].map {
        ResidualRisk(name: $0, exposure: "", remedy: "")
    }

    @Test("what a tier leaves open is open only where the filter lets the call pass")
    func byTier() throws {
        let allowing = try DeclaredEscape.probes(risks: risks, filter: filter(returning: 0x7fff_0000))
        #expect(allowing.isSuperset(of: ["see-home", "see-home-by-access", "thread-bomb", "run-code-of-model"]))
        #expect(!allowing.contains("learn-host-name"))
        let denying = try DeclaredEscape.probes(risks: risks, filter: filter(returning: 0x0005_0001))
        #expect(denying == ["thread-bomb"])
        #expect(try DeclaredEscape.probes(risks: [], filter: filter(returning: 0x0005_0001)) == [])
    }
}
