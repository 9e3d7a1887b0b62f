internal import LinuxSystem
package import Settings

/// The folder of models where the owner names none.
package enum ModelsFolder {
    /// The first folder of models of an agent with this state folder and environment, for when none runs. Throws where there
    /// is none.
    package static func first(state: String?, environment: [String: String]) throws(HostError) -> String {
        if let said = try SettingsEnvironment.text(of: .models, in: environment) {
            return SettingsEnvironment.list(said)[0]
        }
        let state = try StateFolder.asked(state, environment: environment)
        guard let folder = usual(state: state, environment: environment) else {
            throw HostError("there is no home folder to keep models in: name a folder with --models, or set HOME")
        }
        return folder
    }

    /// /var/lib/hearth/models for a service, otherwise as the XDG base directory specification says; nil for a user
    /// without a home.
    static func usual(
        state: String, environment: [String: String], isRoot: Bool = SystemUser.currentIsRoot,
        home: String? = SystemUser.currentHome
    ) -> String? {
        let service = ServiceFolders.standard
        if isRoot || state == service.state { return service.models }
        if let base = environment["XDG_DATA_HOME"], base.hasPrefix("/") { return base + "/hearth/models" }
        let said = environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (said ?? home).map { $0 + "/.local/share/hearth/models" }
    }
}
