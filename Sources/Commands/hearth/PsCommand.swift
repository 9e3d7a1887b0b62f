internal import ArgumentParser
internal import InferenceMessages
internal import OwnerTools
internal import SwiftProtobuf
internal import TerminalText

struct PsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps",
        abstract: "Show the models that are in memory, with their memory and their load, and those being pulled.",
        discussion: """
            USES is the memory that the process uses now, without its weights, which are pages of a file. MAY USE is \
            the most that it can take, its weights included; this is what must be free before a model is loaded. A \
            model that has several processes has a line for each, with its number: smollm2#2.

            With --json each process is a line, and so is each model that is being pulled: {"pull": ...}.

            EXAMPLES
              hearth ps
              hearth ps --json
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let list = try await owner.ask(
            "ListBackends", Hearth_Admin_V1_ListBackendsRequest(), Hearth_Admin_V1_ListBackendsResponse.self)
        let running = list.backends.filter { $0.pid != 0 }
        if owner.json {
            for backend in running { Output.json(try backend.jsonString()) }
            for pull in list.pulls { Output.json(try PullCommand.json(pull)) }
            return
        }
        if running.isEmpty {
            Output.print("No model is in memory; 'hearth models' lists those that a request would load.")
        } else {
            Output.table(Self.rows(running))
        }
        if let line = HoldText.line(list.hold) { Output.print("\nThe agent is \(line).") }
        for pull in list.pulls { Output.print("\n" + printable(PullCommand.line(pull))) }
    }

    private static func rows(_ running: [Hearth_Admin_V1_Backend]) -> [[String]] {
        [["MODEL", "BACKEND", "STATE", "USES", "MAY USE", "RUNNING", "WAITING", "UNTIL"]]
            + running.map {
                [
                    $0.processName, $0.name, $0.state, size($0.memoryBytes), size($0.memoryMaxBytes),
                    "\($0.running)/\($0.maxSequences)", "\($0.waiting)", until($0),
                ]
            }
    }

    /// Until when it stays in memory.
    private static func until(_ backend: Hearth_Admin_V1_Backend) -> String {
        guard backend.hasUnloadInMilliseconds else { return backend.running > 0 ? "it is done" : "stays" }
        return "in \(TimeSpan.text(milliseconds: backend.unloadInMilliseconds))"
    }

    static func size(_ bytes: UInt64) -> String {
        let mebibytes = bytes >> 20
        guard mebibytes >= 10_240 else { return "\(mebibytes) MiB" }
        let tenths = bytes / (1 << 30) * 10 + bytes % (1 << 30) * 10 / (1 << 30)
        return "\(tenths / 10).\(tenths % 10) GiB"
    }
}
