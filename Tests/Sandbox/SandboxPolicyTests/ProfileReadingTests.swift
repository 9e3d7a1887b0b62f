import SandboxPolicy
import StrictJSON
import Testing

/// The parts of container engines' profiles that the OCI runtime-spec does not have.
struct ProfileReadingTests {
    private static let host = PolicyHost(architecture: "amd64", kernel: KernelVersion(major: 6, minor: 1))

    private func rules(_ rules: String) throws -> [String] {
        let json = SeccompPolicyTests.policy(rules)
        return try SeccompPolicy.parse(json, file: "p.json", host: ProfileReadingTests.host).rules.flatMap(\.names)
    }

    private func message(_ rules: String = "", top: String = #""defaultAction": "SCMP_ACT_ERRNO""#) -> String {
        do {
            _ = try SeccompPolicy.parse(
                SeccompPolicyTests.policy(rules, top: top), file: "p.json", host: ProfileReadingTests.host)
            return "accepted"
        } catch { return "\(error)" }
    }

    private func rule(_ more: String) -> String { #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", \#(more)}"# }

    @Test(
        "a rule applies where its circumstances are this machine's",
        arguments: [
            (#""includes": {}, "excludes": {}"#, true), (#""includes": {"arches": ["amd64", "x32"]}"#, true),
            (#""includes": {"arches": ["s390x"]}"#, false), (#""excludes": {"arches": ["s390x"]}"#, true),
            (#""excludes": {"arches": ["amd64"]}"#, false), (#""includes": {"caps": ["CAP_SYS_ADMIN"]}"#, false),
            (#""excludes": {"caps": ["CAP_SYS_ADMIN"]}"#, true),
            (#""includes": {"arches": ["amd64"], "caps": ["CAP_BPF"]}"#, false),
            (#""includes": {"minKernel": "6.1"}"#, true), (#""includes": {"minKernel": "6.2"}"#, false),
            (#""includes": {"minKernel": "4.19"}"#, true), (#""includes": {"minKernel": "10.0"}"#, false),
            (#""excludes": {"minKernel": "4.8"}"#, false), (#""excludes": {"minKernel": ""}"#, true),
            (#""includes": null, "args": null, "comment": """#, true),
        ])
    func circumstances(more: String, applies: Bool) throws {
        #expect(try rules(rule(more)) == (applies ? ["read"] : []))
    }

    @Test(
        "circumstances that are none are refused, in rules that do not apply too",
        arguments: [
            (#""includes": {"caps": ["CAP_SYS_ADMNI"]}"#, "did you mean 'CAP_SYS_ADMIN'?"),
            (#""includes": {"arches": ["amd46"]}"#, "did you mean 'amd64'?"),
            (#""includes": {"kernel": "6.1"}"#, "unknown key 'kernel'"), (#""excludes": {"cap": []}"#, "'caps'"),
            (#""includes": {"minKernel": "6"}"#, "such as"), (#""includes": {"minKernel": "6.1.2"}"#, "such as"),
            (#""includes": {"minKernel": 6.1}"#, "must be a string"), (#""includes": []"#, "must be an object"),
        ])
    func badCircumstances(more: String, says: String) {
        #expect(message(rule(more)).contains(says), "\(message(rule(more)))")
    }

    @Test("kernels are compared by their first two numbers, whatever the distribution adds")
    func kernels() throws {
        for release in ["6.1.0-28-amd64", "6.1-rc5", "6.1", "6.1.112-gentoo"] {
            #expect(KernelVersion(release, isRelease: true) == KernelVersion(major: 6, minor: 1))
        }
        #expect(try #require(KernelVersion("6.10")) > (try #require(KernelVersion("6.9"))))
        for text in ["", "6", "x.1", "6.x", "-6.1", "6.1.0"] { #expect(KernelVersion(text) == nil) }
        #expect(PolicyHost.running.kernel > KernelVersion(major: 4, minor: 0))
    }

    @Test("errors have numbers, names, or both if they agree")
    func errors() throws {
        func action(_ more: String, _ top: String = #""defaultAction": "SCMP_ACT_ERRNO""#) throws -> SeccompPolicy {
            try SeccompPolicy.parse(
                SeccompPolicyTests.policy(#"{"names": ["read"], "action": "SCMP_ACT_ERRNO"\#(more)}"#, top: top),
                file: "p.json")
        }
        #expect(try action(#", "errnoRet": 22, "errno": "EINVAL""#).rules[0].action == .errno(22))
        #expect(try action(#", "errno": "ENOSYS""#).rules[0].action == .errno(38))
        #expect(try action(#", "errno": """#).rules[0].action == .errno(1))
        let top = #""defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS""#
        #expect(try action("", top).defaultAction == .errno(38))
        #expect(throws: SandboxPolicyError.self) { try action(#", "errnoRet": 1, "errno": "EINVAL""#) }
        #expect(throws: SandboxPolicyError.self) { try action(#", "errno": "EINVALL""#) }
        #expect(throws: SandboxPolicyError.self) { try action(#", "errnoRet": 4095"#) }
    }

    @Test("this machine's entry of archMap counts, and both forms together are refused")
    func architectureMap() {
        let map = #""defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"architecture": "SCMP_ARCH_S390X"}"#
        #expect(message(top: map + "]").contains("does not list"))
        let native =
            #", {"architecture": "\#(SyscallNames.nativeArchitecture)", "subArchitectures": ["SCMP_ARCH_ARM"]}]"#
        #expect(message(top: map + native) == "accepted")
        #expect(message(top: map + native + #", "architectures": ["SCMP_ARCH_X86_64"]"#).contains("twice"))
        #expect(message(top: #""defaultAction": "SCMP_ACT_ERRNO", "archMap": []"#) == "accepted")
        #expect(
            message(top: #""defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X8664"]"#)
                .contains("did you mean 'SCMP_ARCH_X86_64'?"))
    }

    @Test(
        "what the launcher cannot honour is refused with the reason",
        arguments: [
            (#""flags": ["SECCOMP_FILTER_FLAG_TSYNC"]"#, "accepted"), (#""flags": []"#, "accepted"),
            (#""flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]"#, "speculation"),
            (#""flags": ["SECCOMP_FILTER_FLAG_LOG"]"#, "kernel's log"),
            (#""flags": ["SECCOMP_FILTER_FLAG_TSINC"]"#, "did you mean 'SECCOMP_FILTER_FLAG_TSYNC'?"),
            (#""listenerPath": "/run/x.sock""#, "no program listens"), (#""listenerPath": """#, "accepted"),
            (#""listenerMetadata": "x""#, "no program listens"),
        ])
    func features(more: String, says: String) {
        let message = message(top: #""defaultAction": "SCMP_ACT_ERRNO", "# + more)
        #expect(message.contains(says), "\(message)")
    }

    @Test("actions that need a tracer or a listener are refused, and no default lets calls pass")
    func actions() {
        for (action, says) in [
            ("SCMP_ACT_TRACE", "tracer"), ("SCMP_ACT_NOTIFY", "program that listens"), ("SCMP_ACT_KILL", "accepted"),
            ("SCMP_ACT_KILL_THREAD", "accepted"), ("SCMP_ACT_KILL_PROCESS", "accepted"), ("SCMP_ACT_TRAP", "accepted"),
            ("SCMP_ACT_LOG", "accepted"),
        ] {
            #expect(message(#"{"names": ["read"], "action": "\#(action)"}"#).contains(says))
        }
        for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"] {
            #expect(message(top: #""defaultAction": "\#(action)""#).contains("must deny"))
        }
    }

    @Test("calls of other architectures and calls that are newer than libseccomp are known; typing errors are not")
    func names() {
        for name in ["socketcall", "arm_fadvise64_64", "s390_runtime_instr", "mseal", "file_setattr", "uretprobe"] {
            #expect(message(#"{"names": ["\#(name)"], "action": "SCMP_ACT_ALLOW"}"#) == "accepted")
        }
        #expect(message(#"{"names": ["mseel"], "action": "SCMP_ACT_ALLOW"}"#).contains("did you mean 'mseal'?"))
        #expect(message(#"{"name": "read", "action": "SCMP_ACT_ALLOW"}"#) == "accepted")
        #expect(message(#"{"name": "read", "names": ["write"], "action": "SCMP_ACT_ALLOW"}"#).contains("'names'"))
        #expect(message(#"{"action": "SCMP_ACT_ALLOW"}"#).contains("at least one"))
    }

    @Test("a mask that can never match is refused, and a mask without its second value means none of its bits")
    func masks() {
        func mask(_ more: String) -> String {
            message(
                #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4, \#(more)}]}"#)
        }
        #expect(mask(#""op": "SCMP_CMP_MASKED_EQ""#) == "accepted")
        #expect(mask(#""valueTwo": 6, "op": "SCMP_CMP_MASKED_EQ""#).contains("never holds"))
        #expect(mask(#""valueTwo": 6, "op": "SCMP_CMP_EQ""#).contains("only means something"))
    }
}
