internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what the agent does now.",
        discussion: """
            EXAMPLES
              hearth status
              hearth status --json
              hearth status --state /var/lib/hearth     a service's agent
            """)

    @OptionGroup var owner: OwnerOptions
    @Flag(help: "List every limit in force.")
    var limits = false

    mutating func run() async throws {
        let status = try await owner.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest(), Hearth_Admin_V1_Status.self)
        if owner.json { return print(try status.jsonString()) }
        if limits { return print(TextTable.render(status.limits.map { [$0.name, "\($0.value)"] })) }
        let listeners = status.listeners.map { "\($0.address) (\($0.security))" }.joined(separator: ", ")
        let ready = status.backends.count { $0.state == "ready" }
        print(
            TextTable.render([
                [
                    "agent",
                    "hearth \(status.version), pid \(status.pid), up \(Self.duration(status.uptimeMilliseconds))",
                ],
                ["accepts on", listeners],
                ["sandbox", status.sandboxTier.isEmpty ? "no backend runs" : "tier \(status.sandboxTier)"],
                ["backends", "\(ready) of \(status.backends.count) ready"],
                ["consumers", "\(status.openConnections) connections, \(status.openCalls) calls"],
                ["turns", "\(status.turnsFinished) finished, \(status.turnsFailed) not"],
                ["tokens sent", "\(status.tokensSent)"],
            ]))
        if !status.backends.isEmpty { print("\n" + BackendsCommand.table(status.backends)) }
    }

    private static func duration(_ milliseconds: UInt64) -> String {
        let seconds = milliseconds / 1000
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
        default: return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        }
    }
}

struct BackendsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backends",
        abstract: "Show every backend that was found, and what holds it.",
        discussion: """
            EXAMPLES
              hearth backends
              hearth backends --json
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let list = try await owner.ask(
            "ListBackends", Hearth_Admin_V1_ListBackendsRequest(), Hearth_Admin_V1_ListBackendsResponse.self)
        if owner.json { return print(try list.jsonString()) }
        if list.backends.isEmpty {
            print("No backend was found. Put an executable into the backends folder; it starts by itself.")
        } else {
            print(Self.table(list.backends))
        }
        for file in list.ignored { print("\n\(file.name) is not run: it is \(file.reason)") }
        for backend in list.backends where !backend.detail.isEmpty {
            print("\n\(backend.name): \(backend.detail)")
        }
        for (tier, layers) in Dictionary(grouping: list.backends, by: \.sandboxTier).sorted(by: { $0.key < $1.key }) {
            if let first = layers.first(where: { !$0.sandboxLayers.isEmpty }) {
                print("\nsandbox tier \(tier): \(first.sandboxLayers.joined(separator: ", "))")
            }
        }
    }

    static func table(_ backends: [Hearth_Admin_V1_Backend]) -> String {
        let header = [
            "BACKEND", "MODEL", "STATE", "SANDBOX", "POLICY", "SEQUENCES", "WAITING", "TOKENS", "RESTARTS", "PID",
        ]
        return TextTable.render(
            [header]
                + backends.map {
                    [
                        $0.name, $0.model, $0.state, $0.sandboxTier, $0.policy, "\($0.running)/\($0.maxSequences)",
                        "\($0.waiting)", "\($0.tokens)", "\($0.restarts)", $0.pid == 0 ? "-" : "\($0.pid)",
                    ]
                })
    }
}
