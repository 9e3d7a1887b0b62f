internal import ArgumentParser
internal import Foundation
internal import Installation
internal import LaunchPlan
internal import OwnerTools
internal import PolicyExplanation
internal import SandboxPolicy
internal import SeccompFilter
internal import TerminalText

struct SandboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox", abstract: "Run a program in the sandbox of a backend.",
        subcommands: [SandboxRunCommand.self])
}

struct SandboxRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run any executable in the sandbox, with these standard streams.",
        discussion: """
            The program runs exactly as the agent would run it as a backend: copied, hashed, in every layer of the \
            tier, with no file, no network and no environment of yours. Nobody answers on descriptor 3, the backend's \
            socket. Started as root, the command becomes the user hearth, or --user.

            The exit status is the program's own; 128 plus the signal's number if a signal ended it; 125 if a layer of \
            the sandbox could not be applied, with one line on standard error that names the layer.

            EXAMPLES
              hearth sandbox run -- ./my-backend --self-test
              hearth sandbox run --policy python --bind /usr --bind /lib64 -- python3 -c 'print(6 * 7)'
              hearth sandbox run --tier reduced --denied -- ./my-backend
            """)

    @Option(help: ArgumentHelp("The policy: the name of an installed one, or a file.", valueName: "name"))
    var policy = "strict"
    @Option(help: ArgumentHelp("The sandbox to require: full or reduced.", valueName: "tier"))
    var tier = SandboxTier.full
    @Option(
        name: .customLong("bind"),
        help: ArgumentHelp(
            "A path that the program may read; may be repeated. Files in it can be mapped as code if the policy allows it.",
            valueName: "path"))
    var binds: [String] = []
    @Option(help: ArgumentHelp("The memory that the program may use.", valueName: "mebibytes"))
    var memory: UInt64 = 1024
    @Option(help: ArgumentHelp("The threads that the program may compute with.", valueName: "count"))
    var threads: UInt32 = 4
    @Flag(help: "When the program has ended, list on standard error the system calls that were denied.")
    var denied = false
    @Option(help: ArgumentHelp("The folder of seccomp policies.", valueName: "dir"))
    var policies: String?
    @Option(help: ArgumentHelp("The user to become when started as root.", valueName: "name"))
    var user: String?
    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("The program and its arguments, after --.", valueName: "program"))
    var command: [String] = []

    mutating func validate() throws {
        if command.isEmpty {
            throw ValidationError("name a program after --, such as: hearth sandbox run -- ./my-backend")
        }
        if threads == 0 || threads > 1024 { throw ValidationError("--threads takes 1 to 1024") }
        if memory == 0 || memory > 1 << 24 { throw ValidationError("--memory takes 1 to 16777216") }
    }

    mutating func run() async throws {
        var run = SandboxRun(program: command[0])
        run.arguments = Array(command.dropFirst())
        run.policy = policy
        run.policies = policies
        run.tier = tier
        run.binds = binds
        run.memoryMebibytes = memory
        run.threads = threads
        run.user = user
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let outcome = try run.run(executable: InstalledParts.ownExecutable(), path: path)
        if denied {
            let rows = outcome.denied.map { call in
                let description = CallDescription(call.call)
                let name =
                    description.argument.isEmpty ? description.name : "\(description.name)(\(description.argument))"
                return [name, "\(call.count)", String(cString: strerror(CInt(call.errno)))]
            }
            let table =
                rows.isEmpty ? "Nothing was denied." : TextTable([["DENIED CALL", "TIMES", "ANSWER"]] + rows).text()
            Output.note(table)
        }
        throw ExitCode(outcome.status)
    }
}

extension SandboxTier: ExpressibleByArgument {}
