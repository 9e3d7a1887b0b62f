internal import ArgumentParser
internal import Foundation
internal import HostAgent
internal import InferenceMessages
internal import Installation
internal import LinuxSystem
internal import OwnerTools
internal import Settings

struct HTTPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "http",
        abstract: "Turn HTTP on or off for good.",
        discussion: """
            The setting 'http' is written into the agent's file of settings, of which all else stays as it is, and an agent \
            that runs takes it over at once. What the agent's command line (--http) or environment (HEARTH_HTTP) says wins \
            over the file.

            EXAMPLES
              hearth http enable
              hearth http enable --http 127.0.0.1:9000
              sudo hearth http enable           for a service of this machine
              hearth http disable
            """,
        subcommands: [EnableHTTPCommand.self, DisableHTTPCommand.self])
}

struct EnableHTTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Serve HTTP from now on, also after a restart.")

    private static let usualAddress = "127.0.0.1:8080"

    @Option(help: ArgumentHelp("The address (127.0.0.1:8080, or the one in the file).", valueName: "host:port"))
    var http: String?
    @OptionGroup var place: SettingsOptions

    mutating func run() async throws {
        guard http != HostConfiguration.httpOff else { throw ValidationError("'hearth http disable' turns HTTP off") }
        let target = try await SettingsTarget.find(place)
        let before = try target.file.read()
        let text = before ?? .none
        let present = text.settings.http.flatMap { $0 == HostConfiguration.httpOff ? nil : $0 }
        let after = try text.setting(.http, to: http ?? present ?? Self.usualAddress, file: target.file.path)
        _ = try InstalledParts.program("hearth-bridge", executable: InstalledParts.ownExecutable())
        try target.check(after, before: text)
        let change = try await target.write(after, before: before)
        guard let status = try await target.status() else {
            return Output.print(
                "HTTP is served on \(after.settings.http ?? "") from the agent's next start on (\(target.file.path)).")
        }
        let served = status.listeners.filter { $0.security.hasPrefix("http") }.map { "\($0.security)://\($0.address)" }
        if served.isEmpty {
            throw Refusal("the agent serves no HTTP: \(SettingsTarget.overruled); \(target.file.path) says otherwise")
        }
        Output.print("HTTP is served on \(served.joined(separator: ", ")), also after a restart (\(target.file.path)).")
        if after != text, change?.applied.contains("http") != true {
            Output.note("hearth: this is not what \(target.file.path) says: \(SettingsTarget.overruled)")
        }
    }
}

struct DisableHTTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Serve no HTTP from now on, also after a restart.",
        discussion: "Answers that are open may go on for ten seconds.")

    @OptionGroup var place: SettingsOptions

    mutating func run() async throws {
        let target = try await SettingsTarget.find(place)
        let before = try target.file.read()
        let text = before ?? .none
        if text.has(.http) {
            let after = try text.setting(.http, to: HostConfiguration.httpOff, file: target.file.path)
            try target.check(after, before: text)
            _ = try await target.write(after, before: before)
        }
        let status = try await target.status()
        if status?.hasBridge == true {
            throw Refusal("the agent goes on serving HTTP: \(SettingsTarget.overruled)")
        }
        Output.print("HTTP is off, also after a restart.")
    }
}
