import PolicyExplanation
import SandboxPolicy
import SeccompFilter
import Testing

/// From calls that were seen to the smallest policy that allows them.
struct PolicyLearningTests {
    private static func policy(_ name: String, _ rules: [String]) throws -> SeccompPolicy {
        let text = """
            {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [\(rules.joined(separator: ","))]}
            """
        return try SeccompPolicy.parse(Array(text.utf8), file: "\(name).json")
    }

    private static func allow(_ names: String...) -> String {
        let list = names.map { "\"\($0)\"" }.joined(separator: ",")
        return "{\"names\": [\(list)], \"action\": \"SCMP_ACT_ALLOW\", \"comment\": \"needed\"}"
    }

    private static func call(_ name: String, _ arguments: [UInt64] = []) throws -> SystemCall {
        SystemCall(try #require(SyscallNames.number(of: name)), arguments)
    }

    @Test("policies are compared from the least exposing on, by what each lacks and what it allows beside")
    func comparisons() throws {
        let learning = PolicyLearning(installed: [
            try Self.policy("wide", [Self.allow("read", "write", "ptrace")]),
            try Self.policy("narrow", [Self.allow("read", "write", "close")]),
            try Self.policy("tiny", [Self.allow("read")]),
        ])
        let results = try learning.comparisons(with: [try Self.call("read"), try Self.call("write")], name: "program")
        #expect(results.map(\.policy.name) == ["tiny", "narrow", "wide"])
        #expect(results.map(\.missing) == [[try Self.call("write")], [], []])
        #expect(results.map(\.unused) == [[], ["close"], ["ptrace"]])
        #expect(results[1].smallest(with: []).rules.flatMap(\.names) == ["read", "write"])
    }

    private func compare(_ rules: [String], _ calls: [SystemCall]) throws -> PolicyLearning.Comparison {
        let learning = PolicyLearning(installed: [try Self.policy("base", rules)])
        return try #require(try learning.comparisons(with: calls, name: "program").first)
    }

    @Test("what a policy lacks is added, with the argument that tells kinds apart, and nothing wider")
    func missing() throws {
        let socket = try Self.call("socket", [1, 1, 0])
        let result = try compare([Self.allow("read")], [try Self.call("read"), socket])
        #expect(result.missing == [socket])
        let filter = try FilterProgram(result.smallest(with: result.missing).compile())
        #expect(filter.verdict(on: socket) == .allow)
        #expect(filter.verdict(on: try Self.call("socket", [2, 1, 0])) == .errno(1))
        #expect(filter.verdict(on: try Self.call("write")) == .errno(1))
        let without = try FilterProgram(result.smallest(with: []).compile())
        #expect(without.verdict(on: socket) == .errno(1))
    }

    @Test("a call that a policy denies by name can be needed all the same")
    func deniedByName() throws {
        let denial = #"{"names": ["openat", "stat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "comment": "files"}"#
        let open = try Self.call("openat", [0, 0, 0])
        let result = try compare([Self.allow("read"), denial], [open])
        let filter = try FilterProgram(result.smallest(with: [open]).compile())
        #expect(filter.verdict(on: open) == .allow)
        #if arch(x86_64)
            #expect(filter.verdict(on: try Self.call("stat")) == .errno(13))
        #endif
    }

    @Test("exec is never learned")
    func executions() throws {
        let execve = try Self.call("execve")
        let result = try compare([Self.allow("read")], [execve, try Self.call("read")])
        #expect(PolicyLearning.isExecution(execve))
        #expect(result.missing.isEmpty)
    }

    @Test("while learning every call passes and is told of, but what is denied by name keeps its answer")
    func telling() throws {
        let denials = [
            #"{"names": ["openat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}"#,
            #"{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}"#,
        ]
        let base = try Self.policy("base", [Self.allow("read")] + denials)
        let careful = try FilterProgram(PolicyLearning.telling(base: base, .asDenied).compile())
        #expect(careful.verdict(on: try Self.call("read")) == .log)
        #expect(careful.verdict(on: try Self.call("socket")) == .log)
        #expect(careful.verdict(on: try Self.call("openat")) == .errno(13))
        #expect(careful.verdict(on: try Self.call("clone3")) == .errno(38))
        let open = try FilterProgram(PolicyLearning.telling(base: base, .asUnimplemented).compile())
        #expect(open.verdict(on: try Self.call("openat")) == .log)
        #expect(open.verdict(on: try Self.call("clone3")) == .errno(38))
    }

    @Test("a policy that was written and read again has the same rules")
    func writing() throws {
        let rules = [
            Self.allow("read", "write"),
            #"{"names": ["openat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "comment": "a \"file\" \\ here"}"#,
            #"""
            {"names": ["mmap"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 2, "value": 4, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"},
                      {"index": 3, "value": 2, "op": "SCMP_CMP_EQ"}]}
            """#,
        ]
        let policy = try Self.policy("p", rules)
        let again = try SeccompPolicy.parse(Array(policy.lines.joined(separator: "\n").utf8), file: "p.json")
        #expect(again.defaultAction == policy.defaultAction)
        #expect(again.rules.map(\.names) == policy.rules.map(\.names))
        #expect(again.rules.map(\.conditions) == policy.rules.map(\.conditions))
        #expect(again.rules.map(\.action) == policy.rules.map(\.action))
        #expect(again.rules.map(\.comment) == policy.rules.map(\.comment))
        #expect(try again.compile() == policy.compile())
    }

    @Test("lines that differ are shown with those around them, and equal ones with nothing")
    func difference() {
        let old = ["a", "b", "c", "d", "e", "f", "g"]
        #expect(LineDifference.lines(old, old).isEmpty)
        #expect(
            LineDifference.lines(old, ["a", "b", "c", "d", "x", "f", "g"], context: 1)
                == ["...", " d", "-e", "+x", " f", "..."])
        #expect(LineDifference.lines([], ["a"]) == ["+a"])
    }
}
