internal import ArgumentParser
internal import Foundation
internal import GRPC
internal import InferenceMessages
internal import OwnerTools
internal import SwiftProtobuf
internal import TerminalText

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show what backends wrote to their standard output and error.",
        discussion: """
            The oldest lines come first, each with its time, backend, model and process. Lines from before a restart \
            are there too, within logBytesMax and logLinesMax ('hearth limits'); lines in parentheses are the agent's \
            own. The HTTP bridge is called 'http'. With -f the command follows the output until Ctrl-C; when a backend writes faster than lines can be \
            shown, it says how many are missing.

            EXAMPLES
              hearth logs
              hearth logs llama
              hearth logs llama --model hearth-demo -n 20 -f
            """)

    @Argument(help: "The backend's file name, or 'http' for the HTTP bridge; without it, all of them.")
    var backend: String?
    @Option(help: ArgumentHelp("Show only the process of this model.", valueName: "id"))
    var model: String?
    @Flag(name: .shortAndLong, help: "Follow the output until Ctrl-C.")
    var follow = false
    @Option(
        name: [.customShort("n"), .customLong("lines")],
        help: ArgumentHelp("Begin with only this many last lines of each backend and model.", valueName: "count"))
    var lineCount: UInt32?
    @OptionGroup var owner: OwnerOptions

    /// How often a followed agent is asked.
    private static let followNanoseconds: UInt64 = 250_000_000

    mutating func run() async throws {
        let agent = try await OwnerConnection.open(state: owner.state)
        var reader = LogReader(lineCount: lineCount.map { Int($0) })
        while true {
            let backends = try await chosen(agent, mustExist: reader.isFresh)
            var lines: [LogReader.Shown] = []
            for entry in backends {
                let request = reader.request(for: entry)
                do {
                    let response: Hearth_Admin_V1_ReadLogResponse = try await agent.ask("ReadLog", request)
                    lines += reader.take(response, to: request, isFollowing: follow)
                } catch let status as Status where status.code == .notFound {
                    // The backend was removed since it was listed.
                }
            }
            show(
                lines.sorted { ($0.line.timeMilliseconds, $0.line.number) < ($1.line.timeMilliseconds, $1.line.number) }
            )
            reader.isFresh = false
            if !follow {
                if lines.isEmpty, lineCount != 0 {
                    Output.note("Nothing has been written yet; 'hearth backends' says how they are.")
                }
                break
            }
            if Output.readerIsGone { Output.end() }
            try await Task.sleep(nanoseconds: LogsCommand.followNanoseconds)
        }
        await agent.close()
    }

    private func chosen(_ agent: OwnerConnection, mustExist: Bool) async throws -> [Hearth_Admin_V1_Backend] {
        let list: Hearth_Admin_V1_ListBackendsResponse = try await agent.ask(
            "ListBackends", Hearth_Admin_V1_ListBackendsRequest())
        let status: Hearth_Admin_V1_Status = try await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest())
        let bridge = status.hasBridge ? [Hearth_Admin_V1_Backend.with { $0.name = "http" }] : []
        let named = (list.backends + bridge).filter { backend == nil || $0.name == backend }
        let chosen = named.filter { model == nil || $0.model == model }
        guard chosen.isEmpty, mustExist, backend != nil || model != nil else { return chosen }
        if let backend, named.isEmpty {
            throw Refusal(
                "there is no backend '\(backend)'; there are: \(Self.words((list.backends + bridge).map(\.name)))")
        }
        throw Refusal(
            "there is no model '\(model ?? "")'; there are: \(Self.words(named.map(\.model).filter { !$0.isEmpty }))")
    }

    private static func words(_ names: [String]) -> String {
        names.isEmpty ? "none" : Set(names).sorted().joined(separator: ", ")
    }

    private func show(_ lines: [LogReader.Shown]) {
        for shown in lines {
            if shown.missing > 0 {
                Output.note("(\(shown.missing) lines of \(printable(shown.source)) are missing here)")
            }
            guard shown.hasLine else { continue }
            if owner.json, let json = try? shown.line.jsonString() {
                Output.json(json)
            } else {
                let time = Timestamp.text(milliseconds: shown.line.timeMilliseconds)
                Output.print(printable("\(time) \(shown.source)[\(shown.line.pid)]: \(shown.line.text)"))
            }
        }
    }
}
