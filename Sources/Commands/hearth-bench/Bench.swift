internal import ArgumentParser

/// Loads for measuring: through a running agent, and the same bytes through a bare socket loop. `Scripts/bench` runs both.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hearth-bench",
        abstract: "Measure a running agent, and the least that the same load could cost.",
        subcommands: [
            RelayCommand.self, TurnsCommand.self, BareCommand.self, BareRelayCommand.self, BareProducerCommand.self,
            SandboxCommand.self, LlamaCommand.self,
        ])
}

/// The shape of a load; the same for the agent and for the bare loop.
struct Load: ParsableArguments {
    @Option(help: "Connections.")
    var connections = 10
    @Option(help: "Streams on each connection.")
    var streams = 10
    @Option(help: "Tokens of each stream.")
    var tokens = 100_000
    @Option(help: "Tokens that the backend computes in one step.")
    var burst = 256
    @Option(help: "Steps in a second; 0 for as many as there can be.")
    var rate = 0

    var total: Int { connections * streams * tokens }
}

/// What a load cost; one line of JSON.
struct Figures: Codable {
    var tokens: Int
    var seconds: Double
    var tokensPerSecond: Double
    /// Processor time of the relaying process alone.
    var relayMicrosecondsPerToken: Double
    /// Processor time of this process, the client.
    var clientMicrosecondsPerToken: Double
    var bytesPerToken: Double
}
