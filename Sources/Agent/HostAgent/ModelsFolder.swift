internal import LinuxSystem

/// The folder of models where the owner names none.
enum ModelsFolder {
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
