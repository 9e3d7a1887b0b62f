internal import ArgumentParser
internal import Foundation
internal import Installation
internal import PolicyExplanation
internal import SandboxPolicy
internal import Settings
internal import TerminalText

struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Show and check the seccomp policies, and find the one that a backend needs.",
        discussion: """
            A policy is the name of an installed one, such as strict, or a file: a path with a '/', or a name that \
            ends in .json.
            """,
        subcommands: [
            PolicyListCommand.self, PolicyShowCommand.self, PolicyExplainCommand.self, PolicyCheckCommand.self,
            PolicyLearnCommand.self,
        ])
}

/// The options that the commands about policies share.
struct PolicyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The folder of seccomp policies.", valueName: "dir"))
    var policies: String?

    /// The folder that `hearth serve` would take without a configuration file.
    func folder() throws -> PolicyFolder {
        let environment = ProcessInfo.processInfo.environment
        let asked = try policies ?? SettingsEnvironment.text(of: .policies, in: environment)
        return PolicyFolder(
            try InstalledParts.policies(asked: asked, executable: InstalledParts.ownExecutable()))
    }

    /// The policy that a word names, as it would hold for a backend.
    func effective(_ word: String) throws -> EffectivePolicy {
        do {
            return try EffectivePolicy(folder().policy(meant: word))
        } catch let error as SandboxPolicyError {
            throw HostError("\(error)")
        }
    }
}

struct PolicyListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the installed policies, the least exposing first.",
        discussion: """
            EXPOSURE rates how much the policy alone leaves to a hostile backend, from 0 (nothing) to 10 (everything); \
            the other layers of the sandbox hold under any policy.

            EXAMPLES
              hearth policy list
            """)

    @OptionGroup var options: PolicyOptions

    func run() throws {
        do {
            let folder = try options.folder()
            var rows: [(score: PolicyScore, cells: [String])] = []
            for name in try folder.names() {
                let effective = try EffectivePolicy(folder.policy(meant: name))
                let score = PolicyScore(effective)
                let beyond = PolicySummary.notable(effective).map(\.name).joined(separator: ", ")
                rows.append((score, [name, "\(score.text) \(score.word)", beyond.isEmpty ? "-" : beyond]))
            }
            rows.sort { $0.score.value < $1.score.value }
            Output.table([["POLICY", "EXPOSURE", "ALLOWS BESIDE THE HARMLESS"]] + rows.map(\.cells))
        } catch let error as SandboxPolicyError {
            throw HostError("\(error)")
        }
    }
}

struct PolicyCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check the files of policies.",
        discussion: """
            The command reads each file as strictly as 'hearth serve' does, compiles it, and runs the filter on every \
            system call and on both sides of every condition, to see that it agrees with the rules. An unknown key, \
            system call, action or comparison is an error with file, line and the nearest valid name. Installed \
            policies must have a comment on every rule; in other files a missing comment is a warning, as is a rule \
            that has no effect.

            Exit status: 0 if all can be used, 1 if one cannot.

            EXAMPLES
              hearth policy check                      all that are installed
              hearth policy check strict ./mine.json
              hearth policy check /usr/share/containers/seccomp.json
            """)

    @Argument(help: ArgumentHelp("Policies to check.", valueName: "name|file"))
    var words: [String] = []
    @OptionGroup var options: PolicyOptions
    @Flag(help: "Print errors only.")
    var quiet = false

    func run() throws {
        do {
            let folder = try options.folder()
            var failures = 0
            let installed = try folder.names()
            for word in words.isEmpty ? installed : words {
                let isInstalled = !word.contains("/") && !word.hasSuffix(".json")
                let file = folder.file(meant: word)
                let check = PolicyCheck(file: file, demandsComments: isInstalled)
                if !quiet {
                    for warning in check.warnings { Output.print(printable(PolicyCheckCommand.marked(warning, file))) }
                }
                if var error = check.error {
                    failures += 1
                    if isInstalled, !installed.contains(word) {
                        do { _ = try folder.policy(meant: word) } catch let unknown { error = "\(unknown)" }
                    }
                    Output.note(printable("\(error)"))
                } else if !quiet {
                    Output.print(printable("\(file): ok"))
                }
            }
            if failures > 0 { throw Failure.requestFailed }
        } catch let error as SandboxPolicyError {
            throw HostError("\(error)")
        }
    }

    /// "file:line: warning: what", as compilers write it.
    private static func marked(_ warning: String, _ file: String) -> String {
        let rest = warning.dropFirst(file.count)
        guard warning.hasPrefix(file + ":"), let end = rest.firstRange(of: ": ") else { return "warning: \(warning)" }
        return file + rest[..<end.upperBound] + "warning: " + rest[end.upperBound...]
    }
}
