internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct TurnsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "turns",
        abstract: "Show for whom the models compute now, and who waits.",
        discussion: """
            FOR is the name of the caller's key, the first name of its certificate, or where it came from if it sent \
            neither. THROUGH is grpc, or http for a caller of the HTTP bridge. TOKENS/S counts from the time at which the \
            request began. A turn that is absent goes on without its consumer, who is gone and may come back. Nothing is \
            shown of what was asked or answered.

            EXAMPLES
              hearth turns
              hearth turns --json
              watch hearth turns
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let list = try await owner.ask(
            "ListTurns", Hearth_Admin_V1_ListTurnsRequest(), Hearth_Admin_V1_ListTurnsResponse.self)
        if owner.json { return Output.json(try list.jsonString()) }
        guard list.count > 0 else { return Output.print("Nothing runs, and nobody waits.") }
        Output.table(
            [["FOR", "THROUGH", "MODEL", "STATE", "CHOICES", "TOKENS", "TOKENS/S", "CAME"]]
                + list.turns.map { turn in
                    [
                        TurnsCommand.caller(turn), turn.through, turn.model, TurnsCommand.state(turn),
                        "\(turn.choices)",
                        turn.task == "generate" ? "\(turn.tokens)" : "-",
                        turn.task == "generate" ? TurnsCommand.rate(turn.tokensPerSecond) : "-",
                        "\(TimeSpan.text(milliseconds: turn.ageMilliseconds)) ago",
                    ]
                })
        let more = Int(list.count) - list.turns.count
        if more > 0 { Output.print("\nAnd \(more) more.") }
    }

    private static func caller(_ turn: Hearth_Admin_V1_Turn) -> String {
        switch turn.callerKind {
        case "key", "certificate": "\(turn.callerKind) \(turn.caller)"
        default: turn.caller.isEmpty ? "no key" : "\(turn.caller), no key"
        }
    }

    private static func state(_ turn: Hearth_Admin_V1_Turn) -> String {
        let state =
            (turn.hasPosition ? "waiting, \(turn.position) before it" : turn.state) + (turn.isAbsent ? ", absent" : "")
        return turn.task == "generate" ? state : "\(state) (\(turn.task))"
    }

    private static func rate(_ tokens: Float) -> String { "\(Double(Int(tokens * 10 + 0.5)) / 10)" }
}
