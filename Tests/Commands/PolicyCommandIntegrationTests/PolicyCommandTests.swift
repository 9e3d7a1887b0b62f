import Foundation
import TestPlaces
import Testing

/// The built `hearth policy`, as a person runs it: no configuration, no agent.
struct PolicyCommandTests {
    private struct Outcome {
        let status: Int32
        let output: String
        let errors: String

        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    private func run(_ words: [String], environment: [String: String] = [:]) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Built.path("hearth"))
        process.arguments = ["policy"] + words
        process.environment = environment
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // Both fit into a pipe but the output; errors are a few lines.
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: complaints, as: UTF8.self))
    }

    /// A file that is gone after `body`.
    private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let folder = TemporaryFolder()
        defer { folder.remove() }
        return try body(folder.write("policy.json", text))
    }

    @Test("list names every policy, the least exposing first")
    func list() throws {
        let outcome = try run(["list"])
        #expect(outcome.status == 0)
        let names = outcome.lines.dropFirst().compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(names == ["strict", "inference-cpu", "swift-runtime", "python", "http-bridge", "inference-gpu"])
    }

    @Test("show prints each call with its conditions in words, and JSON of the same")
    func show() throws {
        let outcome = try run(["show", "strict"])
        #expect(outcome.status == 0)
        let words = outcome.lines.map {
            $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        for line in [
            "read", "mprotect protection without PROT_EXEC", "fcntl operation F_GETFL", "any other call EPERM",
        ] {
            #expect(words.contains(line), "\(line)")
        }
        #expect(outcome.lines.contains("ANSWERED WITH EACCES"))
        #expect(outcome.lines.allSatisfy { !$0.hasSuffix(" ") })
        let json = try run(["show", "strict", "--json"])
        let summary = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
        let calls = try #require(summary["calls"] as? [[String: Any]])
        #expect(calls.contains { $0["name"] as? String == "read" && $0["answer"] as? String == "allowed" })
        #expect(calls.contains { $0["name"] as? String == "clone3" && $0["answer"] as? String == "ENOSYS" })
    }

    @Test("explain says what a backend can and cannot do, with the risks that a policy declares")
    func explain() throws {
        let strict = try run(["explain", "strict"])
        #expect(strict.status == 0 && strict.output.hasPrefix("strict: exposure 0."))
        let (can, cannot) = try halves(strict.output)
        #expect(can.contains("threads") && !can.contains("network"))
        #expect(cannot.contains("network") && cannot.contains("files: reading"))
        #expect(!strict.output.contains("Risks"))
        let gpu = try run(["explain", "inference-gpu"])
        #expect(try halves(gpu.output).0.contains("devices"))
        #expect(gpu.output.contains("Risks that the policy accepts") && gpu.output.contains("graphics driver"))
        #expect(gpu.output.contains("mmap: protection with PROT_EXEC without PROT_WRITE"))
    }

    private func halves(_ text: String) throws -> (Substring, Substring) {
        let middle = try #require(text.firstRange(of: "\nIt cannot\n"))
        return (text[..<middle.lowerBound], text[middle.upperBound...])
    }

    @Test("check accepts what is installed")
    func checkInstalled() throws {
        let outcome = try run(["check"])
        #expect(outcome.status == 0 && outcome.errors.isEmpty)
        #expect(outcome.lines.filter { $0.hasSuffix(".json: ok") }.count == 6)
    }

    @Test("check answers a mistake with file, line and the nearest name, and exit status 1")
    func checkMistake() throws {
        let policy = """
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "Reading."},
            {"names": ["wriet"], "action": "SCMP_ACT_ALLOW", "comment": "Writing."}]}
            """
        try withFile(policy) { path in
            let outcome = try run(["check", path, "strict"])
            #expect(outcome.status == 1)
            #expect(outcome.errors == "\(path):3: unknown system call 'wriet' (did you mean 'write'?)\n")
            #expect(outcome.output.contains("strict.json: ok"), "the others are checked all the same")
        }
        let unknown = try run(["check", "strct"])
        #expect(unknown.status == 1 && unknown.errors.contains("did you mean 'strict'?"))
        #expect(try run(["check", "/nowhere/x.json"]).status == 1)
    }

    @Test("check warns of rules without comment or effect in a file, and refuses them among the installed")
    func checkComments() throws {
        let policy = """
            {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["read"], "action": "SCMP_ACT_TRAP", "comment": "No effect.",
             "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}
            """
        try withFile(policy) { path in
            let outcome = try run(["check", path])
            #expect(outcome.status == 0)
            #expect(outcome.lines.contains("\(path):2: warning: this rule has no comment"))
            #expect(outcome.lines.contains("\(path):3: warning: 'read' is decided without conditions in line 2"))
            let folder = (path as NSString).deletingLastPathComponent
            let name = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
            let installed = try run(["check", name, "--policies", folder])
            #expect(installed.status == 1)
            #expect(installed.errors.contains("\(name).json:2: this rule has no comment"))
        }
    }

    @Test("a folder of policies is found by flag, by environment, or beside the executable")
    func folders() throws {
        let folder = Repository.policies
        for outcome in [
            try run(["show", "strict", "--policies", folder]),
            try run(["show", "strict"], environment: ["HEARTH_POLICIES": folder]),
        ] { #expect(outcome.output.contains("\(folder)/strict.json")) }
        let missing = try run(["show", "strict", "--policies", "/nowhere"])
        #expect(missing.status == 78 && missing.errors.contains("/nowhere"))
        let unknown = try run(["explain", "pyton"])
        #expect(unknown.status == 78 && unknown.errors.contains("did you mean 'python'?"))
    }
}
