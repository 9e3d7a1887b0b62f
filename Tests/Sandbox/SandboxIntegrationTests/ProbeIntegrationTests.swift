import Foundation
import LaunchPlan
import SandboxAudit
import SandboxLaunch
import SandboxPolicy
import TestPlaces
import Testing

/// A hostile backend tries what a sandbox must stop. The control is the same act outside.
@Suite(.serialized) struct ProbeIntegrationTests {
    private static let policies = [
        "strict", "inference-cpu", "swift-runtime", "python", "http-bridge", "inference-gpu",
    ]
    private static let reducedPolicies = ["strict", "inference-cpu"]
    /// All in one run, which the tests below look at.
    private static let report = Result {
        try AuditReport(policies.map { "full:\($0)" } + reducedPolicies.map { "reduced:\($0)" })
    }

    /// Those without which the suite would be no suite: where one of them is refused outside, the control is broken.
    private static let core = [
        "open-home", "open-home-by-dots", "open-home-by-root-link", "read-passwd", "list-root", "create-file",
        "write-model", "change-mode-of-model", "connect-ipv4", "connect-unix", "connect-unix-abstract", "send-udp",
        "listen-ipv4", "list-interfaces", "signal-victim", "limit-victim", "pin-victim", "see-victim-clock",
        "read-victim-environment", "fork", "clone3", "execute", "execute-again", "execute-dropped",
        "new-user-namespace", "learn-host-name", "make-message-queue", "call-by-32-bits", "map-writable-code",
        "make-code-of-data", "memory-bomb", "shared-memory-bomb", "page-table-bomb", "thread-bomb", "descriptor-bomb",
        "use-leaked-file", "use-leaked-folder", "find-descriptors", "read-secret-variable", "receive-descriptor",
        "own-descriptor-signals",
    ]

    @Test("there are at least 120 acts, and those that matter most succeed outside")
    func controls() throws {
        let report = try Self.report.get()
        report.tellWhatProvesNothing()
        #expect(report.acts.count >= 120)
        #expect(Set(report.acts).count == report.acts.count, "an act's name is used twice")
        var expected = Set(Self.core)
        #if !arch(x86_64)
            expected.remove("call-by-32-bits")
        #endif
        #expect(expected.subtracting(report.live) == [])
    }

    /// What may succeed in a tier with a policy.
    private func declared(_ tier: SandboxTier, _ policy: String) throws -> Set<String> {
        let risks = SandboxHost.find(claimingControlGroups: false).residualRisks(of: tier)
        let filter = try SeccompPolicy.named(policy, in: Repository.policies).compile()
        return try DeclaredEscape.probes(risks: risks, filter: filter).intersection(Self.report.get().live)
    }

    @Test("in tier full, no act succeeds but those that a policy exists for", arguments: policies)
    func full(policy: String) throws {
        let declared = try declared(.full, policy)
        #expect(Set(try Self.report.get().escaped("full:\(policy)")) == declared)
        if Self.reducedPolicies.contains(policy) { #expect(declared == []) }
    }

    @Test("in tier reduced, exactly those acts succeed that its residual risks declare", arguments: reducedPolicies)
    func reduced(policy: String) throws {
        let declared = try declared(.reduced, policy)
        #expect(Set(try Self.report.get().escaped("reduced:\(policy)")) == declared)
        #expect(declared.count <= 3)
    }

    @Test("a temporary folder can be filled neither with bytes nor with files, nor run anything")
    func temporaryFolder() throws {
        let acts = ["fill-temporary", "make-many-temporary-files", "execute-dropped-in-temporary"]
        let report = try AuditReport(
            ["full:permissive"], acts: acts + ["open-device", "fork"], options: ["--temporary", "1048576"])
        #expect(report.live.count == 5)
        // The filter was open: what it would have stopped succeeds.
        #expect(report.escaped("full:permissive") == ["fork"])
    }

    @Test("a backend sees its own arguments, four descriptors, two fixed variables, and an empty root")
    func facts() throws {
        let stage = try Stage()
        let outcome = try stage.run(["launch", "--policy", "permissive", stage.probe, "facts"])
        #expect(outcome.status == 0)
        #expect(
            outcome.lines == [
                "user 1000 group 1000 process 2 parent 1 session 2", "descriptors 0 1 2 3",
                "environment GGML_NO_BACKTRACE=1 SWIFT_BACKTRACE=enable=no,swift-backtrace=/none", "folder /",
            ])
    }

    @Test("a system call of another architecture kills")
    func otherArchitecture() throws {
        #if arch(x86_64)
            let stage = try Stage()
            let outcome = try stage.run(["launch", stage.probe, "act", "call-by-32-bits"])
            // SIGSYS; a kernel without 32-bit calls answers with SIGSEGV, which is as dead.
            #expect([128 + 31, 128 + 11].contains(outcome.status))
        #endif
    }
}
