internal import ArgumentParser
internal import InferenceMessages
internal import SwiftProtobuf

struct PauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Stop all computing, until 'hearth resume'.",
        discussion: """
            The processes of backends stand still, with what they have in memory; the streams of consumers stay open, \
            say why, and go on where they were. New requests wait. With --unload the processes end, so that their \
            memory is free: the turns that run end UNAVAILABLE. The agent stays paused across its restarts.

            The command returns once nothing computes any more. What 'hearth pull' fetches is fetched nevertheless.

            EXAMPLES
              hearth pause
              hearth pause --unload
              hearth resume
            """)

    @Flag(help: "End the processes of backends too, so that their memory is free.")
    var unload = false
    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let answer = try await owner.ask(
            "Pause", Hearth_Admin_V1_PauseRequest.with { $0.unload = unload }, Hearth_Admin_V1_HoldResponse.self)
        if owner.json { return Output.json(try answer.jsonString()) }
        let standing =
            "backends stand still (\(HoldText.counted(answer.frozen, "process", "processes")), "
            + "\(HoldText.counted(answer.running, "request", "requests")))"
        Output.print(
            "Paused: \(answer.hold.pause == "unloaded" ? "no backend has a process" : standing); requests that wait: "
                + "\(answer.waiting). 'hearth resume' lets all go on.")
    }
}

struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "End what 'hearth pause' and 'hearth drain' have asked for.",
        discussion: """
            Streams that stood still go on where they were, and requests that waited begin.

            EXAMPLES
              hearth resume
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let answer = try await owner.ask("Resume", Hearth_Admin_V1_ResumeRequest(), Hearth_Admin_V1_HoldResponse.self)
        if owner.json { return Output.json(try answer.jsonString()) }
        Output.print(
            "The agent takes requests and computes; requests that run: \(answer.running), "
                + "that wait: \(answer.waiting).")
    }
}

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Finish what runs and waits, and take no new requests, until 'hearth resume'.",
        discussion: """
            New requests are refused UNAVAILABLE, and the health service says NOT_SERVING. The agent goes on draining \
            across its restarts. The command returns at once; 'hearth status' shows what still runs.

            EXAMPLES
              hearth drain
              hearth resume
            """)

    @OptionGroup var owner: OwnerOptions

    mutating func run() async throws {
        let answer = try await owner.ask("Drain", Hearth_Admin_V1_DrainRequest(), Hearth_Admin_V1_HoldResponse.self)
        if owner.json { return Output.json(try answer.jsonString()) }
        Output.print(
            "Draining: requests that run: \(answer.running), that wait: \(answer.waiting); new ones are refused until "
                + "'hearth resume'.")
        if !answer.hold.pause.isEmpty { Output.print("They stand still: the agent is paused.") }
    }
}

/// What the owner has asked of the whole agent, in words.
enum HoldText {
    /// Nil where nothing is in force.
    static func line(_ hold: Hearth_Admin_V1_Hold) -> String? {
        let pause: String? =
            switch hold.pause {
            case "": nil
            case "unloaded": "paused: backends have ended, and their memory is free"
            default: "paused: backends stand still, and keep their memory"
            }
        let words = [pause, hold.draining ? "draining: new requests are refused" : nil].compactMap { $0 }
        return words.isEmpty ? nil : words.joined(separator: "; ") + " ('hearth resume' ends this)"
    }

    static func counted(_ count: UInt32, _ one: String, _ more: String) -> String {
        "\(count) \(count == 1 ? one : more)"
    }
}
