internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct TrustCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Accept what has changed about a backend, and have it started with that.",
        discussion: """
            A backend is pinned when the agent sees it first: its executable, its manifest and its policy. What has \
            changed since, other than by an installation of Hearth, is not run before its owner trusts it. Requests that \
            run on the earlier files have their answers first.

            EXAMPLES
              hearth backends trust my-backend
            """)

    /// What is shown wherever the state of backends is, where they are not pinned.
    static let unpinned = "Backends are not pinned (pin-backends is off): one that has changed runs without asking."

    @Argument(help: "The backend's file name.")
    var name: String
    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let answer = try await owner.ask(
            "TrustBackend", Hearth_Admin_V1_TrustBackendRequest.with { $0.backend = name },
            Hearth_Admin_V1_TrustBackendResponse.self)
        if owner.json { return Output.json(try answer.jsonString()) }
        if answer.changes.isEmpty { return Output.print("Nothing of \(name) had changed.") }
        for change in answer.changes {
            func words(_ digest: String) -> String { digest.isEmpty ? "none" : "sha256 \(digest)" }
            Output.print("\(change.file): was \(words(change.wasSha256)), is \(words(change.isSha256))")
        }
        Output.print("\(name) is trusted as it lies there now.")
    }
}
