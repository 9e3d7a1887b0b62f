internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct LimitsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limits",
        abstract: "Show every limit in force, and how often consumers met it.",
        discussion: """
            Errors, GOAWAY frames and the log (at level debug) use the names that are listed here. MET counts since \
            the agent started; '-' is a limit that only paces or delays. Docs/limits.md says which attacks the limits \
            stop.

            EXAMPLES
              hearth limits
              hearth limits --met
              hearth limits --json
            """)

    @OptionGroup var owner: OwnerOptions
    @Flag(help: "Show only the limits that were met.")
    var met = false

    mutating func run() async throws {
        var list = try await owner.ask(
            "ListLimits", Hearth_Admin_V1_ListLimitsRequest(), Hearth_Admin_V1_ListLimitsResponse.self)
        if met { list.limits.removeAll { $0.timesMet == 0 } }
        if owner.json { return Output.json(try list.jsonString()) }
        if list.limits.isEmpty { return Output.print("No limit was met since the agent began.") }
        let rows = list.limits.map {
            [$0.name, "\($0.value)", $0.unit, $0.hasTimesMet ? "\($0.timesMet)" : "-", $0.meaning]
        }
        Output.table([["LIMIT", "VALUE", "UNIT", "MET", "WHAT IT BOUNDS"]] + rows)
    }
}
