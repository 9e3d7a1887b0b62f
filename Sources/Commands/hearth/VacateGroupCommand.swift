internal import ArgumentParser
internal import HostAgent

/// Run by the units after the agent has died.
struct VacateGroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vacate-group", abstract: "Make room in a service's control group for the next agent.",
        shouldDisplay: false)

    mutating func run() async throws { ServiceGroup.vacate() }
}
