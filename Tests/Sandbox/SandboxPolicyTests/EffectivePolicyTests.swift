import LaunchPlan
import SandboxPolicy
import SeccompFilter
import StrictJSON
import Testing

struct EffectivePolicyTests {
    private typealias Condition = SeccompPolicy.Condition

    private func policy(_ rules: String) throws -> SeccompPolicy {
        try SeccompPolicy.parse(SeccompPolicyTests.policy(rules), file: "p.json")
    }

    private func rule(_ action: String, _ arguments: String...) -> String {
        let conditions = arguments.map { "{\($0)}" }.joined(separator: ", ")
        return #"{"names": ["lseek"], "action": "SCMP_ACT_\#(action)", "args": [\#(conditions)]}"#
    }

    private let below = #""index": 1, "value": 10, "op": "SCMP_CMP_LT""#
    private let above = #""index": 1, "value": 9, "op": "SCMP_CMP_GT""#
    private let overlapping = #""index": 1, "value": 8, "op": "SCMP_CMP_GT""#

    @Test("whether two conditions exclude each other is told exactly")
    func exclusion() {
        let operations: [(SeccompPolicy.Operation, UInt64, UInt64)] = [
            (.notEqual, 5, 0), (.notEqual, 0, 0), (.lessThan, 5, 0), (.lessThan, 0, 0), (.lessOrEqual, 4, 0),
            (.equal, 5, 0), (.equal, 4, 0), (.greaterOrEqual, 5, 0), (.greaterThan, 5, 0), (.greaterThan, 14, 0),
            (.maskedEqual, 1, 1), (.maskedEqual, 1, 0), (.maskedEqual, 6, 4), (.maskedEqual, 15, 5),
            (.maskedEqual, 12, 8), (.maskedEqual, 9, 9), (.equal, 9, 0), (.greaterThan, 11, 0),
        ]
        // Values and masks are below 16, so that whatever two of them have in common lies below 64.
        let numbers = UInt64(0)..<64
        for (left, leftValue, leftTwo) in operations {
            for (right, rightValue, rightTwo) in operations {
                let one = Condition(0, left, leftValue, leftTwo)
                let other = Condition(0, right, rightValue, rightTwo)
                let meet = numbers.contains { one.holds(for: $0) && other.holds(for: $0) }
                #expect(one.excludes(other) == !meet, "\(one) \(other)")
                #expect(other.excludes(one) == !meet, "\(other) \(one)")
            }
        }
        #expect(Condition(0, .greaterThan, .max).excludes(Condition(0, .notEqual, 1)))
        #expect(!Condition(0, .equal, 1).excludes(Condition(1, .equal, 2)), "different arguments")
        #expect(Condition(0, .maskedEqual, .max, 7).excludes(Condition(0, .notEqual, 7)))
        #expect(Condition(0, .maskedEqual, 1 << 63, 1 << 63).excludes(Condition(0, .lessThan, 1 << 63)))
    }

    @Test("rules that contradict each other are refused, those that exclude each other are not")
    func contradiction() throws {
        _ = try EffectivePolicy(policy(rule("ALLOW", below) + "," + rule("TRAP", above)))
        let error = #expect(throws: SandboxPolicyError.self) {
            try EffectivePolicy(policy(rule("ALLOW", below) + ",\n" + rule("TRAP", overlapping)))
        }
        #expect(error?.description.hasPrefix("p.json:3: says otherwise of 'lseek' than line 2") == true)
    }

    @Test("a rule without conditions decides, and what has no effect is told")
    func plainRules() throws {
        let rules = [
            rule("TRAP", below), rule("ALLOW"), rule("TRAP", above), rule("KILL"), rule("ERRNO", below),
        ]
        let effective = try EffectivePolicy(policy(rules.joined(separator: ",\n")))
        #expect(effective.action(on: SystemCall(try #require(SyscallNames.number(of: "lseek")))) == .allow)
        #expect(effective.remarks.map(\.line) == [2, 4, 5, 6])
    }

    @Test("the filter says what the policy says, on both sides of every condition")
    func agreement() throws {
        let policies = [
            rule("ALLOW", below) + "," + rule("TRAP", above),
            rule("ALLOW", below, #""index": 0, "value": 7, "op": "SCMP_CMP_NE""#),
            rule("ALLOW", #""index": 2, "value": 18446744073709551615, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ""#),
            rule("LOG") + "," + rule("ALLOW", below),
            rule("KILL_PROCESS", #""index": 5, "value": 0, "op": "SCMP_CMP_LE""#),
            #"{"names": ["execve", "execveat"], "action": "SCMP_ACT_ALLOW"}"#,
        ]
        for rules in policies {
            let effective = try EffectivePolicy(policy(rules), asWritten: true)
            let filter = try FilterProgram(effective.policy.compileAsWritten())
            #expect(effective.samples.count > 1000)
            #expect(effective.disagreement(with: filter) == nil, "\(rules)")
        }
    }

    @Test("a filter of another policy is found out")
    func disagreement() throws {
        let effective = try EffectivePolicy(policy(rule("ALLOW", below)))
        for other in [rule("ALLOW"), rule("ALLOW", #""index": 1, "value": 11, "op": "SCMP_CMP_LT""#), ""] {
            let filter = try FilterProgram(policy(other).compileAsWritten())
            #expect(effective.disagreement(with: filter)?.number == SyscallNames.number(of: "lseek"))
        }
    }

    @Test("whether calls with certain arguments pass")
    func reach() throws {
        let effective = try EffectivePolicy(
            policy(rule("ALLOW", below) + #", {"names": ["read", "execve"], "action": "SCMP_ACT_ALLOW"}"#))
        let lseek = try #require(SyscallNames.number(of: "lseek"))
        #expect(effective.reach(of: lseek) == .sometimes)
        #expect(effective.reach(of: lseek, where: [Condition(1, .equal, 3)]) == .always)
        #expect(effective.reach(of: lseek, where: [Condition(1, .equal, 10)]) == .never)
        #expect(effective.reach(of: lseek, where: [Condition(1, .notEqual, 3)]) == .sometimes)
        #expect(effective.reach(of: Call.read, where: [Condition(0, .equal, 3)]) == .always)
        #expect(effective.reach(of: Call.write) == .never)
        #expect(effective.reach(of: Call.execve) == .never, "only the launcher executes")
        #expect(effective.reach(of: 5000) == .never)
    }
}
