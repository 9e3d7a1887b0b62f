internal import ArgumentParser
internal import Foundation
internal import InferenceMessages
internal import OwnerTools
internal import SwiftProtobuf
internal import TerminalText

struct BackendsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backends",
        abstract: "Show every backend with its sandbox and the system calls that it was denied, check or trust one.",
        discussion: """
            A backend whose executable, manifest or policy has changed waits until its owner trusts it; what runs of \
            the earlier files goes on and serves. Its state is "untrusted" where nothing of it runs.

            A model that has several processes has a line for each, with its number: smollm2#2.

            EXAMPLES
              hearth backends
              hearth backends --json
              hearth backends denied llama
              hearth backends check ./my-backend
              hearth backends trust my-backend
            """,
        subcommands: [
            ListBackendsCommand.self, DeniedCommand.self, BackendsCheckCommand.self, TrustCommand.self,
        ],
        defaultSubcommand: ListBackendsCommand.self)
}

struct ListBackendsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show every backend that was found, with its sandbox.")

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let list = try await owner.ask(
            "ListBackends", Hearth_Admin_V1_ListBackendsRequest(), Hearth_Admin_V1_ListBackendsResponse.self)
        if owner.json { return Output.json(try list.jsonString()) }
        if list.backends.isEmpty {
            Output.print("No backend was found. Put an executable into the backends folder; it starts by itself.")
        } else {
            Output.table(Self.rows(list.backends))
        }
        if let line = HoldText.line(list.hold) { Output.print("\nThe agent is \(line).") }
        for file in list.ignored { Output.print("\n" + printable("\(file.name) is not run: it is \(file.reason)")) }
        for backend in list.backends {
            let isAlone = list.backends.count { $0.name == backend.name } == 1
            let name = isAlone ? backend.name : "\(backend.name)/\(backend.processName)"
            if !backend.detail.isEmpty { Output.print("\n" + printable("\(name): \(backend.detail)")) }
            let failure = backend.lastFailure
            guard backend.hasLastFailure, !backend.detail.hasPrefix(failure.reason) else { continue }
            let ago = TimeSpan.text(milliseconds: failure.millisecondsAgo)
            Output.print("\n" + printable("\(name): its process failed last \(ago) ago: it \(failure.reason)"))
        }
        if list.backends.contains(where: { $0.trust == "unpinned" }) { Output.print("\n\(TrustCommand.unpinned)") }
        for (tier, layers) in Dictionary(grouping: list.backends, by: \.sandboxTier).sorted(by: { $0.key < $1.key }) {
            if let first = layers.first(where: { !$0.sandboxLayers.isEmpty }) {
                Output.print("\nsandbox tier \(tier): \(first.sandboxLayers.joined(separator: ", "))")
                for risk in first.residualRisks { Output.print("  remains open: \(risk.name): \(risk.exposure)") }
            }
        }
    }

    static func rows(_ backends: [Hearth_Admin_V1_Backend]) -> [[String]] {
        let header = [
            "BACKEND", "MODEL", "STATE", "SANDBOX", "POLICY", "SEQUENCES", "WAITING", "TOKENS", "DENIED", "RESTARTS",
            "PID",
        ]
        return [header]
            + backends.map {
                [
                    $0.name, $0.processName, $0.state, $0.sandboxTier, $0.policy, "\($0.running)/\($0.maxSequences)",
                    "\($0.waiting)", "\($0.tokens)", "\($0.deniedCalls)", "\($0.restarts)",
                    $0.pid == 0 ? "-" : "\($0.pid)",
                ]
            }
    }
}

struct DeniedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "denied",
        abstract: "Show the system calls that a backend's filter denied, and what they mean.",
        discussion: """
            Counts since the agent started, up to a second old. The kernel's log has none of them. Many denials are \
            harmless: C libraries try a newer call, and fall back to an older one when the newer one is denied.

            EXAMPLES
              hearth backends denied llama
              hearth backends denied llama --json
            """)

    @Argument(help: "The backend's file name.")
    var name: String
    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let list = try await owner.ask(
            "ListDenied", Hearth_Admin_V1_ListDeniedRequest.with { $0.backend = name },
            Hearth_Admin_V1_ListDeniedResponse.self)
        if owner.json { return Output.json(try list.jsonString()) }
        if list.calls.isEmpty { return Output.print("Nothing was denied to \(name).") }
        Output.print(Self.table(list.calls))
    }

    static func table(_ calls: [Hearth_Admin_V1_DeniedCall]) -> String {
        let header = ["CALL", "TIMES", "ANSWER", "FIRST SEEN", "ALLOWED BY", "MODEL"]
        let rows = calls.map { call in
            [
                call.argument.isEmpty ? call.name : "\(call.name)(\(call.argument))", "\(call.count)",
                call.errno == 0 ? "let pass" : String(cString: strerror(CInt(call.errno))),
                Timestamp.text(milliseconds: call.firstSeenMilliseconds),
                call.allowedBy.isEmpty ? "none" : call.allowedBy.joined(separator: ", "),
                replicaName(call.model, call.replica),
            ]
        }
        var text = TextTable([header] + rows).text(columns: Output.columns)
        var told: Set<String> = []
        for call in calls where !call.meaning.isEmpty && told.insert(call.name).inserted {
            text += "\n\n\(call.name): \(call.meaning)"
        }
        return text
    }
}
