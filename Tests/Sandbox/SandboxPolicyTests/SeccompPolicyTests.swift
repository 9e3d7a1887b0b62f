import LaunchPlan
import SandboxPolicy
import SeccompFilter
import StrictJSON
import Testing

struct SeccompPolicyTests {
    static func policy(_ rules: String, top: String = #""defaultAction": "SCMP_ACT_ERRNO""#) -> [UInt8] {
        Array("{\(top),\n\"syscalls\": [\(rules)]}".utf8)
    }

    private func message(of json: [UInt8]) -> String {
        do {
            _ = try SeccompPolicy.parse(json, file: "p.json")
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test("a policy says what it allows, with comparisons of arguments")
    func reading() throws {
        let policy = try SeccompPolicy.parse(
            SeccompPolicyTests.policy(
                """
                {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "why"},
                {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": 65536, "valueTwo": 65536, "op": "SCMP_CMP_MASKED_EQ"}]}
                """), file: "folder/mine.json")
        #expect(policy.name == "mine")
        #expect(policy.defaultAction == .errno(1))
        #expect(policy.rules.map(\.names) == [["read", "write"], ["clone3"], ["clone"]])
        #expect(policy.rules[0].comment == "why")
        #expect(policy.rules[1].action == .errno(38))
        #expect(policy.rules[2].conditions[0].operation == .maskedEqual)
    }

    @Test("an unknown system call is refused with file, line and the nearest name")
    func unknownCall() {
        let json = SeccompPolicyTests.policy("\n{\"names\": [\"read\",\n\"opennat\"], \"action\": \"SCMP_ACT_ALLOW\"}")
        #expect(message(of: json) == "p.json:4: unknown system call 'opennat' (did you mean 'openat'?)")
    }

    @Test("an unknown key is refused with the nearest one")
    func unknownKey() {
        let rule = #"{"names": ["read"], "acton": "SCMP_ACT_ALLOW"}"#
        #expect(message(of: SeccompPolicyTests.policy(rule)).contains("'acton' (did you mean 'action'?)"))
        let top = #""defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRett": 1"#
        #expect(message(of: SeccompPolicyTests.policy("", top: top)).contains("did you mean 'defaultErrnoRet'?"))
        let argument =
            #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "val": 1, "op": "SCMP_CMP_EQ"}]}"#
        #expect(message(of: SeccompPolicyTests.policy(argument)).contains("'val' (did you mean 'value'?)"))
    }

    @Test("an unknown action or comparison is refused with the nearest one")
    func unknownAction() {
        let rule = #"{"names": ["read"], "action": "SCMP_ACT_ALOW"}"#
        #expect(message(of: SeccompPolicyTests.policy(rule)).contains("did you mean 'SCMP_ACT_ALLOW'?"))
        let argument =
            #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EX"}]}"#
        #expect(message(of: SeccompPolicyTests.policy(argument)).contains("SCMP_CMP_"))
    }

    @Test(
        "what is no policy is refused",
        arguments: [
            "", "[]", "{", "null", "{}", "{} x", #"{"defaultAction": 1}"#, #"{"defaultAction": "SCMP_ACT_ALLOW"}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultAction": "SCMP_ACT_ERRNO"}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1.5}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#,
            #"{"defaultAction": "SCMP_ACT_KILL_PROCESS", "defaultErrnoRet": 1}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_S390X"]}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": {}}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": [], "action": "SCMP_ACT_ALLOW"}]}"#,
            #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": [1], "action": "SCMP_ACT_ALLOW"}]}"#,
            "{\"defaultAction\": \"SCMP_ACT_ERRNO\n\"}", #"{"defaultAction": "\ud800"}"#,
            String(repeating: "[", count: 100_000),
        ])
    func malformed(json: String) {
        #expect(throws: SandboxPolicyError.self) { try SeccompPolicy.parse(Array(json.utf8), file: "p.json") }
    }

    @Test("a policy that is cut short anywhere is refused")
    func cutShort() throws {
        let json = SeccompPolicyTests.policy(#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": []}"#)
        _ = try SeccompPolicy.parse(json, file: "p.json")
        for count in 0..<json.count {
            #expect(throws: SandboxPolicyError.self) { try SeccompPolicy.parse(Array(json[..<count]), file: "p") }
        }
    }

    @Test("comparing one argument twice in a rule is refused, because libseccomp would not mean both")
    func twiceCompared() {
        let rule = """
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 1, "op": "SCMP_CMP_GT"}, {"index": 0, "value": 9, "op": "SCMP_CMP_LT"}]}
            """
        #expect(message(of: SeccompPolicyTests.policy(rule)).contains("compared twice"))
    }

    @Test("a policy's name cannot lead out of its folder")
    func names() {
        for name in ["", "../strict", "a/b", "strict.json", "strict\0"] {
            #expect(throws: SandboxPolicyError.self) { try SeccompPolicy.named(name, in: "/nowhere") }
        }
    }

    @Test("the filter allows what the policy allows, and answers everything else")
    func compiling() throws {
        let filter = try FilterProgram(
            SeccompPolicy.parse(
                SeccompPolicyTests.policy(
                    """
                    {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
                    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
                    {"names": ["write"], "action": "SCMP_ACT_ALLOW",
                     "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"}]}
                    """), file: "p.json"
            ).compile())
        #expect(filter.verdict(Call.read) == .allow)
        #expect(filter.verdict(Call.write, [3]) == .allow)
        #expect(filter.verdict(Call.write, [4]) == .errno(1))
        #expect(filter.verdict(Call.write, [3 | 1 << 32]) == .errno(1))
        #expect(filter.verdict(Call.clone3) == .errno(38))
        #expect(filter.verdict(Call.openat) == .errno(1))
        #expect(filter.verdict(2000) == .errno(38), "a call that nobody knows yet")
        #expect(filter.verdict(Call.read, architecture: 0x4000_0003) == .killProcess, "the 32-bit table")
    }

    @Test("only the launcher's own exec passes: descriptor 6, AT_EMPTY_PATH")
    func execution() throws {
        let filter = try FilterProgram(
            SeccompPolicy.parse(SeccompPolicyTests.policy(""), file: "p.json").compile())
        #expect(filter.verdict(Call.execveat, [6, 0x1234, 0, 0, 0x1000]) == .notify)
        #expect(filter.verdict(Call.execveat, [7, 0x1234, 0, 0, 0x1000]) == .errno(1))
        #expect(filter.verdict(Call.execveat, [6, 0x1234, 0, 0, 0]) == .errno(1))
        #expect(filter.verdict(Call.execve) == .errno(1))
    }

    @Test("what a policy says of execve and execveat does not count: exec passes once, whatever it says")
    func executionOnce() throws {
        for rule in [
            #"{"names": ["execveat", "execve"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}"#,
            #"{"names": ["execveat", "execve"], "action": "SCMP_ACT_ALLOW"}"#,
        ] {
            let policy = try SeccompPolicy.parse(SeccompPolicyTests.policy(rule), file: "p.json")
            let filter = try FilterProgram(policy.compile())
            #expect(filter.verdict(Call.execveat, [6, 0x1234, 0, 0, 0x1000]) == .notify)
            #expect(filter.verdict(Call.execveat, [7, 0x1234, 0, 0, 0x1000]) == .errno(1))
            #expect(filter.verdict(Call.execve) == .errno(1))
            let written = try FilterProgram(policy.compileAsWritten())
            #expect(written.verdict(Call.execve) == (rule.contains("ALLOW") ? .allow : .errno(38)))
        }
    }
}

/// Numbers of x86-64 and arm64.
enum Call {
    #if arch(x86_64)
        static let read: UInt32 = 0
        static let write: UInt32 = 1
        static let mmap: UInt32 = 9
        static let mprotect: UInt32 = 10
        static let clone: UInt32 = 56
        static let execve: UInt32 = 59
        static let kill: UInt32 = 62
        static let ptrace: UInt32 = 101
        static let socket: UInt32 = 41
        static let connect: UInt32 = 42
        static let sendto: UInt32 = 44
        static let sendmsg: UInt32 = 46
        static let fcntl: UInt32 = 72
        static let prctl: UInt32 = 157
        static let tgkill: UInt32 = 234
        static let openat: UInt32 = 257
        static let unshare: UInt32 = 272
        static let prlimit64: UInt32 = 302
        static let execveat: UInt32 = 322
        static let pread64: UInt32 = 17
        static let mount: UInt32 = 165
        static let bpf: UInt32 = 321
        static let ioctl: UInt32 = 16
        static let dup: UInt32 = 32
    #else
        static let read: UInt32 = 63
        static let write: UInt32 = 64
        static let mmap: UInt32 = 222
        static let mprotect: UInt32 = 226
        static let clone: UInt32 = 220
        static let execve: UInt32 = 221
        static let kill: UInt32 = 129
        static let ptrace: UInt32 = 117
        static let socket: UInt32 = 198
        static let connect: UInt32 = 203
        static let sendto: UInt32 = 206
        static let sendmsg: UInt32 = 211
        static let fcntl: UInt32 = 25
        static let prctl: UInt32 = 167
        static let tgkill: UInt32 = 131
        static let openat: UInt32 = 56
        static let unshare: UInt32 = 97
        static let prlimit64: UInt32 = 261
        static let execveat: UInt32 = 281
        static let pread64: UInt32 = 67
        static let mount: UInt32 = 40
        static let bpf: UInt32 = 280
        static let ioctl: UInt32 = 29
        static let dup: UInt32 = 23
    #endif
    static let clone3: UInt32 = 435
}
