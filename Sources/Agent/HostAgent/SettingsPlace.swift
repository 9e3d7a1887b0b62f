internal import LinuxSystem
package import Settings

/// The file of settings that an agent reads where its command line names none.
package enum SettingsPlace {
    private static let service = "/etc/hearth/settings.json"

    /// /etc/hearth/settings.json for a service, otherwise as the XDG base directory specification says; nil for an agent with a
    /// state folder of its own, which is another agent than the one that this user or this machine has, and for a user without a
    /// home. `state`: the folder that the command line names.
    package static func usual(
        state: String?, environment: [String: String], isRoot: Bool = SystemUser.currentIsRoot,
        home: String? = SystemUser.currentHome
    ) throws(HostError) -> String? {
        let inEnvironment = try SettingsEnvironment.text(of: .state, in: environment)
        if let said = state ?? inEnvironment {
            return StateFolder.named(said) == ServiceFolders.standard.state ? service : nil
        }
        if isRoot { return service }
        if let base = environment["XDG_CONFIG_HOME"], base.hasPrefix("/") { return base + "/hearth/settings.json" }
        let said = environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (said ?? home).map { $0 + "/.config/hearth/settings.json" }
    }
}
