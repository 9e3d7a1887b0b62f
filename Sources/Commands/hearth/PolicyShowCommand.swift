internal import ArgumentParser
internal import Foundation
internal import SandboxPolicy
internal import TerminalText

struct PolicyShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the verdict of a policy on each system call, on this machine.",
        discussion: """
            The list leaves out rules for other architectures, kernels or capabilities, and calls that this machine \
            does not have.

            EXAMPLES
              hearth policy show strict
              hearth policy show --json python
              hearth policy show /usr/share/containers/seccomp.json
            """)

    @Argument(help: ArgumentHelp("The policy.", valueName: "name|file"))
    var word: String
    @OptionGroup var options: PolicyOptions
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let effective = try options.effective(word)
        let summary = PolicySummary(effective)
        if json { Output.json(try summary.json()) } else { Output.print(PolicyShowCommand.text(summary)) }
    }

    private static func text(_ summary: PolicySummary) -> String {
        let allowed = summary.calls.filter(\.isAllowed)
        let denied = Dictionary(grouping: summary.calls.filter { !$0.isAllowed }, by: \.answer)
        var text = TextTable(
            [
                ["policy", "\(summary.name), \(summary.file)"],
                ["exposure", "\(summary.exposure) of 10"],
                ["any other call", summary.otherCalls],
                ["newer calls", "ENOSYS"],
                ["exec", "once, by the launcher"],
                ["other tables", "calls of another architecture kill the backend"],
            ], hasHeader: false
        ).text()
        text += "\n\n"
        let rows = allowed.map { [$0.answer == "allowed" ? $0.name : "\($0.name) (\($0.answer))", $0.conditions] }
        text += TextTable([["ALLOWED", "ONLY WITH"]] + rows).text()
        for (answer, calls) in denied.sorted(by: { $0.key < $1.key }) {
            text += "\n\nANSWERED WITH \(answer)\n" + lines(calls).joined(separator: "\n")
        }
        return text
    }

    /// The names, as many to a line as fit.
    private static func lines(_ calls: [PolicySummary.Call]) -> [String] {
        var lines = [""]
        for (index, call) in calls.enumerated() {
            let word = call.conditions.isEmpty ? call.name : "\(call.name) (\(call.conditions))"
            let text = word + (index + 1 < calls.count ? ", " : "")
            if lines[lines.count - 1].count + text.count > 100 { lines.append("") }
            lines[lines.count - 1] += text
        }
        return lines.map { $0.hasSuffix(" ") ? String($0.dropLast()) : $0 }
    }
}

struct PolicyExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say in words what a backend can and cannot do under a policy.",
        discussion: """
            The exposure, from 0 (nothing) to 10 (everything), is a judgement for comparing policies: each allowed \
            group of calls weighs as much as it has helped hostile programs, or half of that if it is allowed only \
            under conditions. It ignores the other layers of the sandbox.

            EXAMPLES
              hearth policy explain inference-gpu
              hearth policy explain --json strict
            """)

    @Argument(help: ArgumentHelp("The policy.", valueName: "name|file"))
    var word: String
    @OptionGroup var options: PolicyOptions
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let summary = PolicySummary(try options.effective(word))
        if json { Output.json(try summary.json()) } else { Output.print(PolicyExplainCommand.text(summary)) }
    }

    private static func text(_ summary: PolicySummary) -> String {
        var text = "\(summary.name): exposure \(summary.exposure) of 10 (\(summary.exposureWord))\n\n"
        let can = summary.groups.filter { $0.allowed != "never" }
        text += "Under this policy a backend can\n"
        text += table(
            can.map { group in
                [group.name, group.purpose + (group.allowed == "under conditions" ? ", under conditions" : "")]
            })
        let conditional = can.filter { !$0.details.isEmpty }
        if !conditional.isEmpty {
            text += "\n\nUnder these conditions\n"
            text += table(conditional.flatMap { group in group.details.map { [group.name, $0] } })
        }
        text += "\n\nIt cannot\n"
        text += table(
            summary.groups.filter { $0.allowed == "never" }.map { group in
                [group.name, "\(group.purpose); that would expose \(group.exposure)"]
            })
        if !summary.declaredRisks.isEmpty {
            text += "\n\nRisks that the policy accepts\n"
            text += summary.declaredRisks.map { "  - \($0)" }.joined(separator: "\n")
        }
        return text
    }

    private static func table(_ rows: [[String]]) -> String {
        TextTable(rows.map { ["  " + $0[0]] + $0.dropFirst() }, hasHeader: false).text()
    }
}
