import Foundation
import TestPlaces
import Testing

/// `hearth sandbox run` and `hearth policy learn`, run as a person runs them: no configuration, no agent.
@Suite(.serialized) struct SandboxCommandTests {
    private let stage: Stage

    init() throws {
        stage = try Stage()
        try stage.addHearth()
        _ = try stage.add(Built.path("echo"), as: "echo")
    }

    private func hearth(_ words: [String]) throws -> Stage.Outcome {
        let program = try stage.program("hearth", words)
        let output = try program.readToEnd()
        return Stage.Outcome(status: program.waitForExit(), output: output)
    }

    private func run(_ options: [String], _ words: [String]) throws -> Stage.Outcome {
        try hearth(["sandbox", "run"] + options + ["--", stage.probe] + words)
    }

    @Test("the exit status is the program's, a signal is 128 and its number", arguments: ["full", "reduced"])
    func status(tier: String) throws {
        #expect(try run(["--tier", tier], ["exit", "0"]).status == 0)
        #expect(try run(["--tier", tier], ["exit", "7"]).status == 7)
        if tier == "full" { #expect(try run(["--tier", tier], ["signal", "9"]).status == 128 + 9) }
    }

    @Test("the program sees what a backend sees")
    func facts() throws {
        let outcome = try run(["--policy", "permissive"], ["facts"])
        #expect(outcome.status == 0)
        #expect(
            outcome.lines == [
                "user 1000 group 1000 process 2 parent 1 session 2", "descriptors 0 1 2 3",
                "environment GGML_NO_BACKTRACE=1 SWIFT_BACKTRACE=enable=no,swift-backtrace=/none", "folder /",
            ])
    }

    @Test("an output that is a file gets everything, although a backend may write no file")
    func outputFile() throws {
        let file = "\(stage.folder)/writable/output"
        let script = "exec \"$0\" sandbox run --policy permissive -- \"$1\" facts > \"$2\""
        let program = try stage.program(
            "hearth", [stage.probe, file], within: ["sh", "-c", script])
        _ = try program.readToEnd()
        #expect(program.waitForExit() == 0)
        #expect(try String(contentsOfFile: file, encoding: .utf8).hasSuffix("folder /\n"))
    }

    @Test("--denied lists what the filter denied, by name and argument")
    func denied() throws {
        let outcome = try run(["--denied"], ["act", "connect-ipv4", "tcp4=9"])
        #expect(outcome.status == 1)
        #expect(outcome.lines.contains { $0.hasPrefix("socket(AF_INET) ") && $0.contains("Operation not permitted") })
    }

    @Test("a bound path can be read, and no other")
    func bind() throws {
        let file = "\(stage.folder)/writable/shown"
        try Data("seen".utf8).write(to: URL(fileURLWithPath: file))
        #expect(try run(["--policy", "permissive"], ["read-file", file]).status == 1)
        let shown = try run(["--policy", "permissive", "--bind", file], ["read-file", file])
        #expect(shown.output == "read seen\n")
    }

    @Test("what cannot be run is refused in one line with the remedy")
    func refused() throws {
        let absent = try hearth(["sandbox", "run", "--", "no-such-program"])
        #expect(absent.status == 78)
        #expect(absent.output.contains("'no-such-program' is no executable file in PATH"))
        let policy = try run(["--policy", "strickt"], ["exit", "0"])
        #expect(policy.status == 78)
        #expect(policy.output.contains("did you mean 'strict'?"))
        #expect(try hearth(["sandbox", "run"]).status == 64)
        #expect(try run(["--tier", "none"], ["exit", "0"]).status == 64)
    }

    @Test("a backend's smallest policy is learned, confirmed, and enough to run it again")
    func learn() throws {
        let file = "\(stage.folder)/writable/echo-policy.json"
        let echo = "\(stage.folder)/echo"
        let lesson = try hearth(["policy", "learn", "--output", file, "--", echo])
        #expect(lesson.status == 0, "\(lesson.output)")
        #expect(lesson.lines.first == "while it learned      it loaded its model and answered a request")
        #expect(lesson.lines.contains("nearest policy        strict"))
        #expect(lesson.lines.contains("under the smallest    it loaded its model and answered a request"))
        #expect(lesson.lines.contains("--- strict") && lesson.lines.contains("+++ echo"))
        // It needs no thread and no timer, and the policy says so.
        #expect(lesson.lines.contains { $0.hasPrefix("-") && $0.contains("\"clone\"") })
        #expect(lesson.lines.contains("that policy lacks     none"))
        #expect(lesson.lines.contains { $0.hasPrefix("it can do without") && $0.contains("ioctl(TCGETS)") })
        let check = try hearth(["policy", "check", file])
        #expect(check.status == 0, "\(check.output)")
        let again = try hearth(["policy", "learn", "--output", file, "--", echo])
        #expect(again.output.contains("name a file that does not exist yet"), "an old file is not written over")
    }

    @Test("a program that needs more than any policy allows is told what, and only that is added")
    func learnMore() throws {
        // Under every shipped policy it may not make a semaphore, and it says so with its exit status.
        #expect(try run([], ["act", "make-semaphore"]).status == 1)
        let file = "\(stage.folder)/writable/semaphore.json"
        let lesson = try hearth(["policy", "learn", "--output", file, "--", stage.probe, "act", "make-semaphore"])
        #expect(lesson.status == 0, "\(lesson.output)")
        #expect(lesson.lines.contains { $0.hasPrefix("that policy lacks") && $0.contains("semget") })
        #expect(try run(["--policy", file], ["act", "make-semaphore"]).status == 0)
        #expect(try run(["--policy", file], ["act", "connect-ipv4", "tcp4=9"]).status != 0)
    }
}
