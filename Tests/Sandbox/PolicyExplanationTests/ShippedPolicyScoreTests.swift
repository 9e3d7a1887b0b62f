import PolicyExplanation
import SandboxPolicy
import SeccompFilter
import TestPlaces
import Testing

/// How the policies of `Policies/` compare.
struct ShippedPolicyScoreTests {
    /// The least exposing first.
    private static let names = ["strict", "inference-cpu", "swift-runtime", "python", "http-bridge", "inference-gpu"]

    private func number(_ name: String) throws -> UInt32 { try #require(SyscallNames.number(of: name)) }

    @Test("the less a policy is for, the less it exposes")
    func scores() throws {
        let scores = try Self.names.map {
            PolicyScore(try EffectivePolicy(SeccompPolicy.named($0, in: Repository.policies))).value
        }
        #expect(scores == scores.sorted() && Set(scores).count == scores.count, "\(scores)")
        #expect(scores[0] < 1 && scores[4] < 3 && scores[5] > 5)
    }

    @Test("which policies would let a call pass")
    func allowing() throws {
        let folder = PolicyFolder(Repository.policies)
        #expect(folder.allowing([SystemCall(try number("socket"), [2])]) == [[]])
        #expect(folder.allowing([SystemCall(try number("ioctl"), [0, 0xc020_462a])]) == [["inference-gpu"]])
        #expect(folder.allowing([SystemCall(try number("ioctl"), [0, 0x5401])]) == [["python", "inference-gpu"]])
        #expect(folder.allowing([SystemCall(try number("read"))]) == [Self.names])
        #expect(folder.allowing([SystemCall(try number("execve"))]) == [[]])
        #expect(PolicyFolder("/nowhere").allowing([SystemCall(try number("read"))]) == [[]])
    }
}
