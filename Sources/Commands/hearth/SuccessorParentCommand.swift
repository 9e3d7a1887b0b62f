internal import ArgumentParser
internal import HostAgent

/// Started by an agent that is upgraded.
struct SuccessorParentCommand: AsyncParsableCommand, HandlesSignals {
    static let configuration = CommandConfiguration(
        commandName: SuccessorParent.command, abstract: "Start a new agent for 'hearth upgrade'.", shouldDisplay: false)

    /// The program, and its arguments from the name that it is called by.
    @Argument(parsing: .captureForPassthrough)
    var command: [String] = []

    mutating func run() async throws {
        guard command.count > 1 else { throw ValidationError("a program and its arguments are missing") }
        SuccessorParent.run(command[0], arguments: Array(command.dropFirst()))
    }
}
