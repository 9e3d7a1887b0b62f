internal import ArgumentParser
internal import Foundation
internal import InferenceMessages
internal import SwiftProtobuf

struct UpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Put a new agent in the place of the one that runs, without its consumers noticing.",
        discussion: """
            The agent starts its own program again, as it is installed now, with the command line, the environment and the \
            working directory that it was started with; the new agent reads the settings anew and takes over as \
            'hearth serve --take-over' does. No connection is refused, and streams go on to their ends. The command returns \
            once the new agent serves. The agent before ends when its calls have ended.

            A new agent that does not come up leaves the one that runs as it was; so does Ctrl-C. It has upgradeMilliseconds \
            ('hearth limits') to come up. Versions are not compared: an older one takes over in the same way.

            EXAMPLES
              Scripts/install && hearth upgrade
              hearth upgrade --executable ~/hearth-before/bin/hearth
              systemctl reload hearth
            """)

    /// Longer than the agent waits for a new one (`upgradeMilliseconds`, `abandonedMilliseconds`).
    private static let answerMilliseconds: UInt64 = 150_000

    @Option(help: ArgumentHelp("The program of the new agent, in place of the installed one.", valueName: "path"))
    var executable: String?
    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let request = Hearth_Admin_V1_UpgradeRequest.with {
            $0.executable = executable.map { URL(fileURLWithPath: $0).standardizedFileURL.path } ?? ""
        }
        let agent = try await OwnerConnection.open(state: owner.state)
        let before: Hearth_Admin_V1_Status = try await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest())
        let answer: Hearth_Admin_V1_UpgradeResponse
        do {
            answer = try await agent.ask("Upgrade", request, withinMilliseconds: Self.answerMilliseconds)
        } catch let error as Unreachable {
            // An agent without open calls may be gone before its answer has come.
            let now = try? await owner.ask(
                "GetStatus", Hearth_Admin_V1_GetStatusRequest(), Hearth_Admin_V1_Status.self)
            guard let now, now.pid != before.pid else { throw error }
            answer = .with {
                $0.pid = now.pid
                $0.version = now.version
            }
        }
        await agent.close()
        if owner.json { return Output.json(try answer.jsonString()) }
        let version = answer.version.isEmpty ? "" : ", version \(answer.version)"
        let calls = answer.openCalls == 1 ? "1 call that was open goes" : "\(answer.openCalls) calls that were open go"
        Output.print(
            "The agent with pid \(answer.pid)\(version) serves now"
                + (answer.openCalls == 0
                    ? "." : "; \(calls) on to \(answer.openCalls == 1 ? "its end" : "their ends")."))
    }
}
