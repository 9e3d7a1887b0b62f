internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct RestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart",
        abstract: "Start the processes of a backend anew, or try one again that failed.",
        discussion: """
            They end once what they run has finished, after drainMilliseconds ('hearth limits') at the latest, or at once \
            with --now, which ends those turns UNAVAILABLE. Then they start by themselves, or, where models are loaded \
            on demand, with the next request.

            EXAMPLES
              hearth restart llama
              hearth restart llama --now
            """)

    @Argument(help: "The backend's file name.")
    var backend: String
    @Flag(help: "End what runs on it.")
    var now = false
    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let request = Hearth_Admin_V1_RestartBackendRequest.with {
            $0.backend = backend
            $0.now = now
        }
        let answer = try await owner.ask(
            "RestartBackend", request, Hearth_Admin_V1_RestartBackendResponse.self)
        if owner.json { return Output.json(try answer.jsonString()) }
        let waits = answer.running > 0 ? ", once the requests that run on it have ended (\(answer.running))" : ""
        Output.print(
            answer.processes == 0
                ? "\(backend) has no process; it is tried again when it is needed."
                : "\(backend) starts anew (\(HoldText.counted(answer.processes, "process", "processes")))\(waits).")
    }
}
