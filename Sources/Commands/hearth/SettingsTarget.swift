internal import ArgumentParser
internal import ConsumerAccess
internal import Foundation
internal import GRPC
internal import HostAgent
internal import InferenceMessages
internal import LinuxSystem
internal import OwnerTools
internal import Settings
internal import SwiftProtobuf

/// Select the agent whose settings are meant.
struct SettingsOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent.", valueName: "dir"))
    var state: String?
    @Option(
        help: ArgumentHelp("The file of settings of an agent that was, or will be, started with it.", valueName: "file")
    )
    var config: String?
}

/// The file of an agent's settings, and the agent, if it runs.
struct SettingsTarget {
    /// Why an agent does not do what its file says.
    static let overruled = "its command line (--http) or its environment (HEARTH_HTTP) wins over the file"

    let file: SettingsFile
    private let agent: OwnerConnection?
    private let state: String?

    /// The file that the running agent reads, or the one that it would read. Throws where there is none, and where it is not
    /// this user's to ask the agent.
    static func find(_ options: SettingsOptions) async throws -> SettingsTarget {
        let asked = options.config.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
        let agent: OwnerConnection?
        do {
            agent = try await OwnerConnection.open(state: options.state)
        } catch let error as Unreachable where !error.isForbidden {
            agent = nil
        }
        if let agent {
            let status = try await status(of: agent)
            guard !status.settingsFile.isEmpty else {
                throw HostError(
                    "the agent with pid \(status.pid) reads no file of settings: start it with --config FILE, or with "
                        + "other flags")
            }
            guard asked == nil || asked == status.settingsFile else {
                throw HostError(
                    "the agent with pid \(status.pid) reads \(status.settingsFile): leave --config out, or name another "
                        + "agent with --state")
            }
            return SettingsTarget(
                file: SettingsFile(path: status.settingsFile), agent: agent, state: options.state)
        }
        let usual = try SettingsPlace.usual(
            state: options.state, environment: ProcessInfo.processInfo.environment)
        guard let path = asked ?? usual else {
            throw HostError(
                "an agent with a state folder of its own reads the file that it is started with: name it with --config")
        }
        return SettingsTarget(file: SettingsFile(path: path), agent: nil, state: options.state)
    }

    /// The agent now; nil: none runs.
    func status() async throws -> Hearth_Admin_V1_Status? {
        guard let agent else { return nil }
        return try await Self.status(of: agent)
    }

    private static func status(of agent: OwnerConnection) async throws -> Hearth_Admin_V1_Status {
        try await agent.ask("GetStatus", Hearth_Admin_V1_GetStatusRequest())
    }

    /// Throws for settings that an agent would not start with. Those of a file may need others of the command line or the
    /// environment: what was not complete before is not asked to be.
    func check(_ after: SettingsText, before: SettingsText) throws {
        if (try? before.settings.validated()) != nil { _ = try after.settings.validated() }
        guard let address = try after.settings.httpAddress(), !address.isLocal else { return }
        let keys = try? KeyPlace.file(state: state, environment: ProcessInfo.processInfo.environment).read()
        guard keys?.keys.isEmpty == false else {
            throw HostError(
                "http \(address) can be reached by other machines, and there is no key to call with: make one with 'hearth "
                    + "key create NAME', or serve HTTP on 127.0.0.1 or [::1]")
        }
    }

    /// Writes the file, and has the agent take it over. Returns what became of that; nil: no agent runs. Puts the file back
    /// where the agent refuses.
    func write(_ after: SettingsText, before: SettingsText?) async throws -> Hearth_Admin_V1_ReloadResponse? {
        if after != before { try file.write(after) }
        do {
            return try await agent?.ask("Reload", Hearth_Admin_V1_ReloadRequest())
        } catch let status as Status {
            if let before { try file.write(before) } else { file.remove() }
            throw HostError("\(status.message); \(file.path) is as it was")
        }
    }
}
