import Foundation
import Testing

/// A hostile backend tries what a sandbox must stop, outside and inside in one run.
@Suite(.serialized) struct ProbeIntegrationTests {
    private let stage: Stage

    init() throws { stage = try Stage() }

    /// What each act came to: nil when it was done, otherwise its errno.
    private struct Report {
        var outside: [String: Int?] = [:]
        var inside: [String: Int?] = [:]

        init(_ lines: [String]) throws {
            var isInside = false
            var ends = 0
            for line in lines {
                let words = line.split(separator: " ").map(String.init)
                switch (words.first, words.count) {
                case ("outside", 1): isInside = false
                case ("inside", 1): isInside = true
                case ("end", 1): ends += 1
                default:
                    let result = words.count == 3 ? Int(words[2]) : nil
                    if isInside { inside[words[0]] = result } else { outside[words[0]] = result }
                }
            }
            // A probe that became another program, or was killed, has not said "end".
            try #require(ends == 2, "the probe did not come to its end: \(lines)")
            try #require(outside.count > 50 && outside.keys == inside.keys)
        }

        /// Acts that succeed on this machine: only these prove something.
        func proving() -> [String] {
            let proving = outside.filter { $0.value == nil }.keys.sorted()
            let others = outside.keys.filter { !proving.contains($0) }.sorted()
            if !others.isEmpty { print("refused outside too, so proving nothing here: \(others)") }
            return proving
        }
    }

    private func report(_ options: [String]) throws -> Report {
        let outcome = try stage.run(["probe"] + options + [stage.probe])
        try #require(outcome.status == 0, "\(outcome.output)")
        return try Report(outcome.lines)
    }

    @Test("in tier full, every act that succeeds outside is refused inside", arguments: ["strict", "inference-cpu"])
    func full(policy: String) throws {
        let report = try report(["--policy", policy])
        let proving = report.proving()
        #expect(Set(["connect-ipv4", "connect-unix", "open-home", "fork", "execute-true"]).isSubset(of: proving))
        for act in proving { #expect(report.inside[act] != .some(nil), "\(act) succeeded inside") }
    }

    @Test("in tier reduced, only whether a path exists can be learned")
    func reduced() throws {
        let report = try report(["--tier", "reduced"])
        let succeeded = report.proving().filter { report.inside[$0] == .some(nil) }
        #expect(succeeded == ["see-home-by-empty-path-flag"])
    }

    @Test("without a filter the other layers stop files, network, other processes and new namespaces on their own")
    func withoutFilter() throws {
        let report = try report(["--policy", "permissive"])
        let stopped = [
            "connect-ipv4", "connect-ipv6", "send-udp", "connect-unix", "listen-tcp", "open-home", "open-passwd",
            "open-own-process", "open-null", "open-by-dots", "see-home", "see-home-by-empty-path-flag", "create-file",
            "list-root", "change-folder", "execute-true", "execute-again", "trace-victim", "signal-victim",
            "open-victim", "see-victim-group", "limit-victim", "raise-priority-of-victim", "read-parent",
            "new-user-namespace", "mount-tmpfs", "new-mount-api", "change-root", "lock-memory", "take-much-memory",
            "use-leaked-descriptor", "read-secret-variable",
        ]
        for act in report.proving() where stopped.contains(act) {
            #expect(report.inside[act] != .some(nil), "\(act) succeeded without the filter")
        }
        // The control of the control: the filter was indeed open.
        for act in ["fork", "make-memory-file", "map-writable-code"] {
            #expect(report.inside[act] == .some(nil), "\(act) should succeed under this policy")
        }
    }

    @Test("a backend sees its own arguments, four descriptors, two fixed variables, and an empty root")
    func facts() throws {
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
            let outcome = try stage.run(["launch", stage.probe, "int80"])
            // SIGSYS; a kernel without 32-bit calls answers with SIGSEGV, which is as dead.
            #expect([128 + 31, 128 + 11].contains(outcome.status))
        #endif
    }
}
