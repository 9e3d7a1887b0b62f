internal import ArgumentParser
internal import GRPC
internal import InferenceMessages
internal import Settings
internal import SwiftProtobuf

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have the agent read its settings, keys and certificates again.",
        discussion: """
            The agent reads its file of settings as it did when it started; its command line and its environment stay \
            above the file. What can change while it runs is in force when this returns: keys that are asked for, HTTP, \
            how long models are kept, the memory for models, and how long connections live. The rest is named, and waits \
            for the agent's next start, or for 'hearth upgrade'. With a file that cannot be understood nothing changes, and the exit code is 78.

            SIGHUP does the same, and the agent's log says what came of it.

            EXAMPLES
              hearth reload
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let answer: Hearth_Admin_V1_ReloadResponse
        do {
            answer = try await owner.ask(
                "Reload", Hearth_Admin_V1_ReloadRequest(), Hearth_Admin_V1_ReloadResponse.self)
        } catch let status as Status where status.code == .invalidArgument {
            throw HostError("nothing has changed: \(status.message)")
        }
        if owner.json { return Output.json(try answer.jsonString()) }
        if !answer.applied.isEmpty { Output.print("In force now: \(answer.applied.joined(separator: ", ")).") }
        if !answer.needsRestart.isEmpty {
            Output.print("Needs a restart: \(StatusCommand.restart(answer.needsRestart)).")
        }
        if answer.applied.isEmpty, answer.needsRestart.isEmpty { Output.print("No setting has changed.") }
    }
}
