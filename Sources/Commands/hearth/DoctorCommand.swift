internal import ArgumentParser
internal import Foundation
internal import Installation
internal import LaunchPlan
internal import LinuxSystem
internal import OwnerTools
internal import TerminalText

struct DoctorCommand: ParsableCommand, HoldsSignals {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Test how well this machine can confine a backend.",
        discussion: """
            The command launches the sandbox, examines it from outside, and has a hostile program try the attacks that \
            a backend could try, outside and inside. An attack that succeeds outside and not inside was stopped; one \
            that fails outside too proves nothing here. Nothing is harmed: the targets are made for the test, in a \
            folder that is removed again. The command needs no configuration, no agent and no root; as root, it \
            becomes the user hearth or nobody.

            EXIT CODES
              0    tier full holds
              1    only tier reduced is available, and holds
              2    neither is available, or a probe got through: do not lend this machine
              78   a part of Hearth is missing

            EXAMPLES
              hearth doctor
              hearth doctor --json
              hearth doctor --tier reduced --policy strict
            """)

    @Flag(help: "Print everything as one JSON object, with every probe.")
    var json = false
    @Option(help: ArgumentHelp("Examine this tier instead of the strongest: full or reduced.", valueName: "tier"))
    var tier: SandboxTier?
    @Option(help: ArgumentHelp("The policy whose filter is tested.", valueName: "name"))
    var policy = "inference-cpu"
    @Option(help: ArgumentHelp("The folder of seccomp policies.", valueName: "dir"))
    var policies: String?
    @Option(help: ArgumentHelp("The user to become when started as root.", valueName: "name"))
    var user: String?

    func run() throws {
        var doctor = Doctor()
        doctor.tier = tier
        doctor.policy = policy
        doctor.policies = policies
        doctor.user = user
        if isatty(STDERR_FILENO) == 1 {
            Output.note("Trying what a hostile backend could try; this takes some seconds.")
        }
        let report = try examine(doctor)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Output.json(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            Output.print(DoctorText(report).text)
        }
        throw ExitCode(report.exitStatus)
    }
}

extension DoctorCommand {
    /// A signal that comes meanwhile ends this process once the examination has cleaned up.
    private func examine(_ doctor: Doctor) throws -> DoctorReport {
        // Printing waits for its reader, and a signal must not wait with it.
        defer { TerminationSignals.release() }
        return try doctor.examine(executable: InstalledParts.ownExecutable())
    }
}

/// The report for a person, after the manner of systemd-analyze(1), "security".
private struct DoctorText {
    private let report: DoctorReport
    private var lines: [String] = []
    var text: String { lines.joined(separator: "\n") }

    init(_ report: DoctorReport) {
        self.report = report
        lines.append(
            "Hearth \(report.version) on Linux \(report.kernel), probed as user \(report.user), policy \(report.policy)"
        )
        section(["LAYER", "A BACKEND CANNOT", "EXPOSURE"], report.layers.map(Self.row))
        section(["MACHINE", "", ""], report.findings.map(Self.row))
        probes()
        if !report.residualRisks.isEmpty {
            lines += ["", "    REMAINS OPEN IN TIER \(report.tier.uppercased())"]
            for (index, risk) in report.residualRisks.enumerated() {
                lines.append("    \(risk.name): \(risk.exposure)")
                let next = index + 1 < report.residualRisks.count ? report.residualRisks[index + 1].remedy : nil
                if risk.remedy != next { lines.append(remedy(risk.remedy)) }
            }
        }
        verdict()
    }

    /// A line of the report, and what to do about it.
    private struct Row {
        let mark: String
        let cells: [String]
        let remedy: String?
    }

    private static func row(_ layer: DoctorReport.Layer) -> Row {
        let exposure = layer.state == .holds ? "" : String(format: "%.1f", layer.exposure)
        let stops = layer.state == .fails ? "\(layer.stops) (applied, but the kernel shows otherwise)" : layer.stops
        return Row(mark: layer.state == .holds ? "✓" : "✗", cells: [layer.name, stops, exposure], remedy: layer.remedy)
    }

    private static func row(_ finding: DoctorReport.Finding) -> Row {
        let mark = finding.state == "good" ? "✓" : finding.state == "bad" ? "✗" : "!"
        return Row(mark: mark, cells: [finding.name, finding.text, ""], remedy: finding.remedy)
    }

    private mutating func section(_ header: [String], _ rows: [Row]) {
        let table = TextTable([header] + rows.map(\.cells)).lines
        lines += ["", "    " + table[0]]
        for (index, line) in zip(rows.indices, table.dropFirst()) {
            lines.append("  \(rows[index].mark) \(line)")
            // Neighbours that share a remedy show it once.
            let next = index + 1 < rows.count ? rows[index + 1].remedy : nil
            if let text = rows[index].remedy, text != next { lines.append(remedy(text)) }
        }
    }

    private func remedy(_ text: String) -> String { "      → \(text)" }

    private mutating func probes() {
        guard !report.probes.isEmpty else { return }
        var groups: [String] = []
        for probe in report.probes where !groups.contains(probe.group) { groups.append(probe.group) }
        let rows = groups.map { group in
            let probes = report.probes.filter { $0.group == group }
            let counts = [
                probes.count, probes.count { $0.outside == "done" }, probes.count { $0.verdict == "stopped" },
                probes.count { $0.verdict == "escaped" },
            ]
            let isClean = !report.unexpected.contains { $0.group == group }
            return Row(mark: isClean ? "✓" : "✗", cells: [group] + counts.map { "\($0)" }, remedy: nil)
        }
        section(["PROBES", "TRIED", "LIVE HERE", "STOPPED", "ESCAPED"], rows)
        for probe in report.probes where probe.verdict == "escaped" {
            let reason = probe.isDeclared ? "as the tier or the policy declares" : "this must not be"
            lines.append("      \(probe.name): a backend \(probe.meaning) (\(reason))")
        }
    }

    private mutating func verdict() {
        lines.append("")
        if let obstacle = report.obstacle { lines += ["What keeps it from a stronger tier: \(obstacle)", ""] }
        let exposure = "Exposure \(String(format: "%.1f", report.exposure)) of 10: \(report.exposureWord)."
        switch report.tier {
        case "refuse": lines.append("No tier is available here, so no backend starts.")
        default:
            lines.append("Tier \(report.tier). \(exposure)")
            if report.exitStatus == 2 { lines.append("Do not lend this machine: what must be stopped got through.") }
        }
    }
}
