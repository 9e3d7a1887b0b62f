import Foundation
import SandboxPolicy
import StrictJSON
import TestPlaces
import Testing

struct PolicyCheckTests {
    private func check(_ rules: String, demandsComments: Bool = false) throws -> PolicyCheck {
        try inTemporaryFolder { folder in
            let path = folder + "/check.json"
            try Data(SeccompPolicyTests.policy(rules)).write(to: URL(fileURLWithPath: path))
            return PolicyCheck(file: path, demandsComments: demandsComments)
        }
    }

    @Test("what has no effect is a warning with its line")
    func warnings() throws {
        let found = try check(
            """
            {"names": ["read", "execve"], "action": "SCMP_ACT_ALLOW", "comment": "Reading."},
            {"names": ["write"], "action": "SCMP_ACT_ERRNO", "comment": "The default."},
            {"names": ["mseal", "socketcall"], "action": "SCMP_ACT_ALLOW", "comment": "Not here."}
            """)
        #expect(found.error == nil)
        let texts = found.warnings.map { $0.split(separator: ".json:").last.map(String.init) ?? "" }
        #expect(
            Set(texts) == [
                "2: 'execve' is not allowed all the same: a backend is executed once, by the launcher",
                "3: what it says of 'write' is the default already",
                "4: 'mseal' is newer than this machine's libseccomp and is answered with ENOSYS",
                "4: only other architectures have socketcall",
            ])
    }

    @Test("a rule without comment is a warning, or an error where comments are demanded")
    func comments() throws {
        let rule = #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": ""}"#
        #expect(try check(rule).error == nil)
        #expect(try check(rule).warnings.count == 1)
        #expect(try check(rule, demandsComments: true).error?.contains(":2: this rule has no comment") == true)
    }

    @Test("rules that contradict each other, and files that are none, are errors")
    func errors() throws {
        let below = #""args": [{"index": 0, "value": 5, "op": "SCMP_CMP_LT"}]"#
        let even = #""args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]"#
        let found = try check(
            #"{"names": ["read"], "action": "SCMP_ACT_ALLOW", \#(below)}, {"names": ["read"], "action": "SCMP_ACT_TRAP", \#(even)}"#
        )
        #expect(found.error?.contains("exclude each other") == true)
        #expect(PolicyCheck(file: "/nowhere.json", demandsComments: false).error?.contains("/nowhere.json") == true)
    }

    @Test("a word is a name or a file")
    func words() throws {
        let folder = PolicyFolder(Repository.policies)
        #expect(folder.file(meant: "strict") == "\(Repository.policies)/strict.json")
        #expect(folder.file(meant: "./strict") == "./strict" && folder.file(meant: "x.json") == "x.json")
        #expect(try folder.policy(meant: "strict").name == "strict")
        let error = #expect(throws: SandboxPolicyError.self) { try folder.policy(meant: "inference-gpo") }
        #expect(error?.description.contains("did you mean 'inference-gpu'?") == true)
    }
}
