internal import ArgumentParser
internal import HTTPProtocols
internal import InferenceMessages

struct MetricsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Print the agent's counters for Prometheus.",
        discussion: """
            The output is in Prometheus's text format: connections, calls, turns, tokens, backends, and every limit \
            with how often consumers met it. The textfile collector of a node exporter reads it from a file.

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
