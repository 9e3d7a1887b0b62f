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
              hearth status --state /var/lib/hearth/state     a service's agent
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let status = try await owner.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest(), Hearth_Admin_V1_Status.self)
        if owner.json { return Output.json(try status.jsonString()) }
        let listeners = status.listeners.map { "\($0.address) (\($0.security))" }.joined(separator: ", ")
        let unloaded = status.backends.count { $0.state == "unloaded" }
        let ready = status.backends.count { $0.state == "ready" }
        let backends =
            "\(ready) of \(status.backends.count - unloaded) ready"
            + (unloaded > 0 ? ", \(unloaded) loaded on demand" : "")
        var more = status.hasBridge ? [["http bridge", StatusCommand.line(status.bridge)]] : []
        if !status.needsRestart.isEmpty { more.append(["needs a restart", Self.restart(status.needsRestart)]) }
        if status.hasCrashHolder { more.append(["if it dies", Self.line(status.crashHolder)]) }
        if status.takenBack > 0 { more.append(["taken back", Self.takenBack(status.takenBack)]) }
        if status.hasTraceExport { more.append(["traces", StatusCommand.line(status.traceExport)]) }
        Output.table(
            [
                [
                    "agent",
                    "hearth \(status.version), pid \(status.pid), up \(TimeSpan.text(milliseconds: status.uptimeMilliseconds))",
                ],
                ["its owner", HoldText.line(status.hold) ?? "lets it compute"],
                ["accepts on", listeners],
                ["sandbox", status.sandboxTier.isEmpty ? "no backend runs" : "tier \(status.sandboxTier)"],
                ["what remains open", status.residualRisks.map(\.name).joined(separator: ", ")],
                ["backends", backends],
                ["pinned", StatusCommand.line(status.pinning)],
                ["consumers", "\(status.openConnections) connections, \(status.openCalls) calls"],
                [
                    "turns",
                    "\(status.turnsFinished) finished, \(status.turnsFailed) not"
                        + (status.turnsAbsent > 0 ? "; \(status.turnsAbsent) of absent consumers" : ""),
                ],
                ["tokens sent", "\(status.tokensSent)"],
            ] + more, hasHeader: false)
        if !status.backends.isEmpty {
            Output.print("")
            Output.table(ListBackendsCommand.rows(status.backends))
        }
    }

    /// Settings that were changed and wait for the agent's next start, and how to have that.
    static func restart(_ settings: [String]) -> String {
        "\(settings.joined(separator: ", ")) ('hearth upgrade', or restart it)"
    }

    private static func line(_ holder: Hearth_Admin_V1_CrashHolder) -> String {
        let what = "backends and turns that can be resumed are kept for \(holder.seconds) s"
        return holder.pid == 0
            ? "\(what), but what keeps them has ended and is started again"
            : "\(what), by pid \(holder.pid), which has \(holder.kept) now"
    }

    private static func takenBack(_ count: UInt32) -> String { "\(count) backends and turns of an agent that had died" }

    private static func line(_ pinning: Hearth_Admin_V1_BackendPinning) -> String {
        guard pinning.mode != "off" else { return TrustCommand.unpinned }
        return pinning.untrusted.isEmpty
            ? "as they were first seen, or trusted later"
            : "not trusted: \(pinning.untrusted.joined(separator: ", ")); see why with 'hearth backends', then: "
                + "hearth backends trust NAME"
    }

    private static func line(_ export: Hearth_Admin_V1_TraceExport) -> String {
        let how =
            switch export.state {
            case "failing":
                "\(export.endpoint) fails since \(Timestamp.text(milliseconds: export.failingSinceMilliseconds)): \(export.detail)"
            case "exporting": "exporting to \(export.endpoint)"
            default: "to \(export.endpoint), none yet"
            }
        return
            "\(how); \(export.spansExported) spans exported, \(export.spansWaiting) wait, \(export.spansDropped) dropped"
    }

    private static func line(_ bridge: Hearth_Admin_V1_Bridge) -> String {
        var parts = [bridge.state]
        if bridge.pid != 0 { parts.append("pid \(bridge.pid)") }
        parts.append("tier \(bridge.sandboxTier)")
        parts.append("\(bridge.openCalls) calls")
        if bridge.restarts > 0 { parts.append("started again \(bridge.restarts) times, last: \(bridge.detail)") }
        return parts.joined(separator: ", ")
    }
}
