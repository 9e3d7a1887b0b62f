internal import ArgumentParser
internal import Foundation
internal import InferenceMessages
internal import Installation
internal import LinuxSystem
internal import OwnerTools
internal import Settings
internal import SwiftProtobuf
internal import TerminalText

struct PolicyLearnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn",
        abstract: "Run a backend, record its system calls, and print the smallest policy that it needs.",
        discussion: """
            The program runs under a filter that records calls and lets them pass, and in all other layers of tier \
            full: it sees no file but those of --bind, no network and no other process. A backend has to load its \
            first model (of NAME.json beside it) and to answer one request; any other program runs until it ends, or \
            for --seconds. The command compares the recorded calls with the installed policies, and runs the program \
            once more under the smallest policy that allows them.

            It prints a summary, and the difference between the smallest policy and the nearest installed one. It \
            learns only the calls of that run: run the program as the backend will be used, and look at 'hearth \
            backends denied NAME' later.

            Exit status: 0 if the program did as well under the smallest policy, 1 if it did not.

            EXAMPLES
              hearth policy learn -- ./my-backend
              hearth policy learn --output my-policy.json -- ./my-backend
              hearth policy learn --bind /usr --bind /lib64 -- python3 -c 'import json'
            """)

    @Option(
        name: .customLong("bind"),
        help: ArgumentHelp("A path that the program may read; may be repeated.", valueName: "path"))
    var binds: [String] = []
    @Option(help: ArgumentHelp("Write the smallest policy to a new file.", valueName: "file"))
    var output: String?
    @Option(help: ArgumentHelp("How long a program that is no backend may run.", valueName: "seconds"))
    var seconds: UInt64 = 10
    @Option(help: ArgumentHelp("The memory that the program may use.", valueName: "mebibytes"))
    var memory: UInt64 = 1024
    @Option(help: ArgumentHelp("The threads that the program may compute with.", valueName: "count"))
    var threads: UInt32 = 4
    @Option(help: ArgumentHelp("The prompt for a backend.", valueName: "text"))
    var prompt = "Tell me a story."
    @Option(help: ArgumentHelp("The folder of seccomp policies.", valueName: "dir"))
    var policies: String?
    @Option(help: ArgumentHelp("The user to become when started as root.", valueName: "name"))
    var user: String?
    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("The program and its arguments, after --.", valueName: "program"))
    var command: [String] = []

    mutating func validate() throws {
        if command.isEmpty {
            throw ValidationError("name a program after --, such as: hearth policy learn -- ./my-backend")
        }
        if threads == 0 || threads > 1024 { throw ValidationError("--threads takes 1 to 1024") }
        if memory == 0 || memory > 1 << 24 { throw ValidationError("--memory takes 1 to 16777216") }
        if seconds == 0 || seconds > 3600 { throw ValidationError("--seconds takes 1 to 3600") }
    }

    mutating func run() async throws {
        let prompt = prompt
        let request = Hearth_V1_GenerateRequest.with {
            $0.requestID = "learning"
            $0.text = prompt
        }
        var lesson = PolicyLesson(program: command[0], request: try request.serializedBytes())
        lesson.arguments = Array(command.dropFirst())
        lesson.policies = policies
        lesson.binds = binds
        lesson.memoryMebibytes = memory
        lesson.threads = threads
        lesson.seconds = seconds
        lesson.user = user
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let report = try await lesson.learn(executable: InstalledParts.ownExecutable(), path: path)
        Output.print(Self.render(report))
        if let output { try write(report, to: output) }
        if !report.isConfirmed { throw ExitCode(1) }
    }

    private static func render(_ report: PolicyLesson.Report) -> String {
        func list(_ words: [String]) -> String { words.isEmpty ? "none" : words.joined(separator: ", ") }
        var rows = [
            ["while it learned", report.lesson],
            ["nearest policy", report.nearest],
            ["that policy lacks", list(report.missing)],
            ["it can do without", list(report.dispensable)],
            ["that it does not use", list(report.unused)],
            ["under the smallest", report.check],
        ]
        if report.executions > 0 {
            rows.append(["never allowed", "it executed another program; a backend is executed once, by the launcher"])
        }
        let difference =
            report.difference.isEmpty
            ? "The smallest policy is \(report.nearest) itself."
            : (["--- \(report.nearest)", "+++ \(report.name)"] + report.difference).joined(separator: "\n")
        return TextTable(rows, hasHeader: false).text() + "\n\n" + difference
    }

    private func write(_ report: PolicyLesson.Report, to file: String) throws {
        do throws(LinuxError) {
            let text = report.smallest.joined(separator: "\n") + "\n"
            try FileBytes.replace(file, with: Array(text.utf8), mode: 0o644, overwriting: false)
        } catch {
            throw HostError("cannot \(error)\(error.code == EEXIST ? "; name a file that does not exist yet" : "")")
        }
    }
}
