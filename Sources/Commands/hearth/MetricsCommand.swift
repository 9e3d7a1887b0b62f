internal import ArgumentParser
internal import InferenceMessages
internal import OwnerTools

struct MetricsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Print what the agent counts, for Prometheus.",
        discussion: """
            In Prometheus's text format: connections, calls, turns, tokens, backends, every limit and how often consumers \
            met it. A node exporter collects it from a file (its textfile collector).

            EXAMPLES
              hearth metrics
              hearth metrics > hearth.prom.new && mv hearth.prom.new /var/lib/prometheus/node-exporter/hearth.prom
            """)

    @Option(help: ArgumentHelp("The state folder of the agent to ask.", valueName: "dir"))
    var state: String?

    mutating func run() async throws {
        let status = try await OwnerOptions.ask(
            state, "GetStatus", Hearth_Admin_V1_GetStatusRequest(), Hearth_Admin_V1_Status.self)
        let limits = try await OwnerOptions.ask(
            state, "ListLimits", Hearth_Admin_V1_ListLimitsRequest(), Hearth_Admin_V1_ListLimitsResponse.self)
        Output.print(MetricsText(status: status, limits: limits.limits).text, terminator: "")
    }
}
