internal import ArgumentParser
internal import BackendIPC
internal import ContractCheck
internal import Foundation
internal import Installation
internal import LaunchPlan
internal import OwnerTools
internal import TerminalText

struct BackendsCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Try every clause of the contract on a backend, without an agent.",
        discussion: """
            The command starts the backend in the sandbox, as the agent would with the manifest beside it, and speaks \
            the agent's end of its socket: it loads the first model, gives credit to the token, cancels, asks much at \
            once, and ends the process in every way. Each check has a process of its own. A folder has all of its \
            backends checked. The backend may have all that its manifest asks for. Started as root, the command \
            becomes the user hearth, or --user.

            RESULT is 'kept', 'BROKEN' with what was seen, or 'not tried' with the reason. Docs/backend-contract.md \
            explains the clauses.

            Exit status: 0 if no clause was broken, 1 if one was, 78 if the backend cannot be started or loads no model.

            EXAMPLES
              hearth backends check ./my-backend
              hearth backends check --weights model.gguf ~/.local/share/hearth/backends/llama
              hearth backends check --json ./backends
            """)

    @Argument(help: ArgumentHelp("An executable, or a folder of backends.", valueName: "path"))
    var path: String
    @Option(help: ArgumentHelp("The weights to load, in place of those of the manifest.", valueName: "file"))
    var weights: String?
    @Option(help: ArgumentHelp("The model of the manifest to load, in place of the first.", valueName: "id"))
    var model: String?
    @Option(help: ArgumentHelp("The prompt of requests.", valueName: "text"))
    var prompt = "Tell me a story."
    @Option(help: ArgumentHelp("The longest wait for an answer.", valueName: "seconds"))
    var seconds: UInt64 = 20
    @Option(help: ArgumentHelp("The sandbox to require: full or reduced.", valueName: "tier"))
    var tier = SandboxTier.full
    @Option(help: ArgumentHelp("The threads that the backend may compute with.", valueName: "count"))
    var threads: UInt32 = 4
    @Option(help: ArgumentHelp("The folder of seccomp policies.", valueName: "dir"))
    var policies: String?
    @Option(help: ArgumentHelp("The user to become when started as root.", valueName: "name"))
    var user: String?
    @Flag(help: "Print JSON.")
    var json = false

    mutating func validate() throws {
        if threads == 0 || threads > 1024 { throw ValidationError("--threads takes 1 to 1024") }
        if seconds == 0 || seconds > 3600 { throw ValidationError("--seconds takes 1 to 3600") }
        if prompt.isEmpty { throw ValidationError("--prompt takes a text") }
    }

    func run() throws {
        var check = BackendCheck(path: path, threads: threads)
        check.weights = weights
        check.model = model
        check.prompt = prompt
        check.seconds = seconds
        check.tier = tier
        check.policies = policies
        check.user = user
        let reports = try check.reports(executable: InstalledParts.ownExecutable()).map(CheckedBackend.init)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Output.json(String(decoding: try encoder.encode(reports), as: UTF8.self))
        } else {
            Output.print(reports.map { $0.text(columns: Output.columns) }.joined(separator: "\n\n"))
        }
        if reports.contains(where: { $0.broken > 0 }) { throw Failure.requestFailed }
    }
}

/// A report, as it is printed.
private struct CheckedBackend: Encodable {
    /// The executable's file name, and what `Hello` named; empty: it never came.
    let file: String
    let name: String
    let version: String
    let capabilities: [String]
    let policy: String
    let processes: Int
    let messages: Int
    let memoryBytes: UInt64
    let outputLines: Int
    let clauses: [Clause]

    struct Clause: Encodable {
        let number: String
        let text: String
        /// "kept", "broken" or "not tried".
        let result: String
        /// What was seen, or why it was not tried.
        let seen: String
    }

    init(_ report: BackendCheck.Report) {
        let examination = report.examination
        file = report.name
        name = examination.hello?.name ?? ""
        version = examination.hello?.version ?? ""
        capabilities = examination.hello?.capabilities ?? []
        policy = report.policy
        processes = examination.processes
        messages = examination.messages
        memoryBytes = report.memoryBytes
        outputLines = report.outputLines
        clauses = ContractClause.allCases.map { clause in
            let (result, seen) =
                switch examination[clause] {
                case .kept(let seen): ("kept", seen)
                case .broken(let sentence): ("broken", sentence)
                case .untried(let why): ("not tried", why)
                }
            return Clause(number: clause.number, text: clause.text, result: result, seen: seen)
        }
    }

    var broken: Int { count("broken") }

    private func count(_ result: String) -> Int { clauses.count { $0.result == result } }

    func text(columns: Int?) -> String {
        let rows = clauses.map {
            [$0.number, $0.result == "broken" ? "BROKEN" : $0.result, $0.text, $0.seen]
        }
        let table = TextTable([["CLAUSE", "RESULT", "A BACKEND KEEPS THAT", "SEEN"]] + rows).text(columns: columns)
        return """
            \(file), under the policy \(policy): \(processes) processes with at most \(memoryBytes >> 20) MiB each, \
            \(messages) messages, lines of log: \(outputLines).

            \(table)

            \(count("kept")) clauses kept, \(broken) broken, \(count("not tried")) not tried.
            """
    }
}
