import PolicyExplanation
import SandboxPolicy
import SeccompFilter
import Testing

struct SyscallGroupTests {
    private func number(_ name: String) throws -> UInt32 { try #require(SyscallNames.number(of: name)) }

    private func policy(_ rules: String) throws -> EffectivePolicy {
        try EffectivePolicy(
            SeccompPolicy.parse(
                Array(#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [\#(rules)]}"#.utf8), file: "p.json"))
    }

    @Test("every system call of this machine has a group, and no name stands in two")
    func everyCall() {
        var seen: Set<String> = []
        for group in SyscallGroup.all {
            #expect(seen.isDisjoint(with: group.calls), "\(group.name): \(seen.intersection(group.calls))")
            seen.formUnion(group.calls)
            #expect((1...999).contains(group.risk))
            for name in group.calls { #expect(SyscallNames.isKnown(name), "\(name)") }
        }
        #expect(Set(SyscallGroup.all.map(\.name)).count == SyscallGroup.all.count)
        // Calls that their arguments tell apart are in no list, and every value has a group.
        let split = Set(SyscallGroup.all.flatMap { $0.cases.map(\.call) })
        #expect(split.isDisjoint(with: seen))
        for (number, name) in SyscallNames.all {
            #expect(seen.contains(name) || split.contains(name), "\(name) has no group")
            for value in [0, 1, 2, 3, 7, 0x1000, 0x5401, 0x5412, 0x1_0000, 0xffff_ffff, UInt64.max] {
                let call = SystemCall(number, Array(repeating: value, count: 6))
                #expect(SyscallGroup.of(call) != nil, "\(name) \(value)")
            }
        }
    }

    @Test("a call's arguments decide its group")
    func groups() throws {
        for (name, arguments, group) in [
            ("mmap", [0, 4096, 3, 0x22], "memory"), ("mmap", [0, 4096, 5, 2], "new code"),
            ("mmap", [0, 4096, 1, 1], "shared memory"), ("clone", [17], "new processes"),
            ("clone", [0x3d0f00], "threads"),
            ("ioctl", [1, 0x5412], "devices"), ("ioctl", [1, 0x5401], "open descriptors"),
            ("openat", [0, 0, 0], "files: reading"), ("openat", [0, 0, 0o101], "files: changing"),
            ("sendto", [3, 0, 0, 0, 0], "sockets that it has"), ("sendto", [3, 0, 0, 0, 0x7fff_0000], "network"),
            ("prctl", [15], "facts"), ("prctl", [1], "privileges"), ("prlimit64", [0, 7, 0x1000], "other processes"),
            ("socket", [2], "network"), ("ptrace", [], "tracing"),
        ] as [(String, [UInt64], String)] {
            #expect(SyscallMeaning(SystemCall(try number(name), arguments)).group == group, "\(name) \(arguments)")
        }
        #expect(SyscallMeaning(SystemCall(5000)).group == "unknown")
        #expect(SyscallMeaning(SystemCall(try number("socket"), [2])).phrase.contains("exposes other machines"))
    }

    @Test("what a policy allows of a group shows, whole or under conditions")
    func reach() throws {
        func reach(_ group: String, _ rules: String) throws -> EffectivePolicy.Reach {
            try #require(SyscallGroup.all.first { $0.name == group }).reach(in: policy(rules))
        }
        func allow(_ name: String, _ arguments: String = "") -> String {
            #"{"names": ["\#(name)"], "action": "SCMP_ACT_ALLOW", "args": [\#(arguments)]}"#
        }
        let noCode = #"{"index": 2, "value": 4, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}"#
        #expect(try reach("new code", allow("mprotect")) == .always)
        #expect(try reach("new code", allow("mprotect", noCode)) == .never)
        #expect(try reach("memory", allow("mprotect", noCode)) == .always)
        #expect(try reach("devices", allow("ioctl", #"{"index": 1, "value": 21537, "op": "SCMP_CMP_EQ"}"#)) == .never)
        #expect(
            try reach("devices", allow("ioctl", #"{"index": 1, "value": 21522, "op": "SCMP_CMP_EQ"}"#)) == .sometimes)
        #expect(try reach("devices", allow("ioctl", #"{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}"#)) == .sometimes)
        #expect(try reach("devices", allow("ioctl")) == .always)
        #expect(try reach("network", allow("socket", #"{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}"#)) == .sometimes)
        #expect(try reach("network", #"{"names": ["socket"], "action": "SCMP_ACT_TRAP"}"#) == .never)
        #expect(try reach("other programs", allow("execve")) == .never)
    }

    @Test("a score grows with what is allowed, from nothing to everything")
    func scores() throws {
        func score(_ names: [String], _ arguments: String = "") throws -> Double {
            let list = names.map { "\"\($0)\"" }.joined(separator: ", ")
            let rule = #"{"names": [\#(list)], "action": "SCMP_ACT_ALLOW", "args": [\#(arguments)]}"#
            return PolicyScore(try policy(names.isEmpty ? "" : rule)).value
        }
        #expect(try score([]) == 0)
        let inet = #"{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}"#
        let (conditional, plain) = (try score(["socket"], inet), try score(["socket"]))
        #expect(conditional > 0 && plain > conditional)
        #expect(try score(["socket", "connect"]) == plain, "one group")
        #expect(try score(["socket", "ptrace"]) > plain)
        let everything = try score(SyscallNames.all.map(\.name))
        #expect(everything > 9.9 && everything <= 10)
        #expect(PolicyScore(try policy("")).text == "0.0")
    }

    @Test("conditions are said in the words of the manual pages")
    func words() throws {
        for (name, argument, words) in [
            ("fcntl", #""index": 1, "value": 4, "op": "SCMP_CMP_EQ""#, "operation F_SETFL"),
            ("mprotect", #""index": 2, "value": 4, "op": "SCMP_CMP_MASKED_EQ""#, "protection without PROT_EXEC"),
            (
                "mmap", #""index": 3, "value": 47, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ""#,
                "flags MAP_SHARED without MAP_ANONYMOUS"
            ),
            (
                "mmap", #""index": 2, "value": 6, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ""#,
                "protection with PROT_EXEC without PROT_WRITE"
            ),
            ("mmap", #""index": 3, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ""#, "flags with MAP_SHARED"),
            ("sendto", #""index": 4, "value": 0, "op": "SCMP_CMP_EQ""#, "no address"),
            ("sendto", #""index": 4, "value": 0, "op": "SCMP_CMP_NE""#, "some address"),
            ("prlimit64", #""index": 2, "value": 0, "op": "SCMP_CMP_EQ""#, "no new limit"),
            ("madvise", #""index": 2, "value": 8, "op": "SCMP_CMP_LE""#, "advice up to MADV_FREE"),
            ("socket", #""index": 0, "value": 2, "op": "SCMP_CMP_NE""#, "family other than AF_INET"),
            ("lseek", #""index": 1, "value": 9, "op": "SCMP_CMP_GT""#, "argument 2 above 9"),
            (
                "lseek", #""index": 1, "value": 255, "valueTwo": 16, "op": "SCMP_CMP_MASKED_EQ""#,
                "argument 2 & 0xff = 0x10"
            ),
            (
                "openat", #""index": 2, "value": 67, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ""#,
                "flags O_RDONLY without O_CREAT"
            ),
        ] {
            let rule = #"{"names": ["\#(name)"], "action": "SCMP_ACT_ALLOW", "args": [{\#(argument)}]}"#
            let policy = try policy(rule)
            let call = try number(name)
            #expect(policy.rules(of: call).map { $0.conditionWords(call: call) } == [words])
        }
    }
}
