internal import Foundation
internal import LinuxSystem
internal import Settings

/// The folder of the agent's files: mode 0700, owned by the user that the agent runs as.
enum StateFolder {
    /// The state folder named by a command's flag or in the environment, or the default one. Throws for an empty name.
    static func asked(_ flag: String?, environment: [String: String]) throws(HostError) -> String {
        if let flag {
            guard !flag.isEmpty else { throw HostError("--state is empty: name the agent's folder, or leave it out") }
            return present(flag)
        }
        if let said = try SettingsEnvironment.text(of: .state, in: environment) { return present(said) }
        return present(try usual(environment: environment))
    }

    /// The folder that a name stands for: a service's state lies in `state` below the service's folder.
    static func named(_ path: String, service: ServiceFolders = .standard) -> String {
        path == service.root || path == service.root + "/" ? service.state : path
    }

    /// The same, but where the files lie that an agent of an earlier version has left or uses.
    private static func present(_ path: String) -> String {
        let service = ServiceFolders.standard
        return named(path) == service.state ? service.stateNow : path
    }

    /// /var/lib/hearth/state for a service, otherwise as the XDG base directory specification says. `home`: the home of the
    /// user's account, used where HOME is unset. Throws for a user without a home: a folder that others can write to is
    /// no place for keys.
    static func usual(
        environment: [String: String], isRoot: Bool = SystemUser.currentIsRoot,
        home: String? = SystemUser.currentHome
    ) throws(HostError) -> String {
        if isRoot { return ServiceFolders.standard.state }
        if let base = environment["XDG_STATE_HOME"], base.hasPrefix("/") { return base + "/hearth" }
        let said = environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        guard let home = said ?? home else {
            throw HostError(
                "there is no home folder to keep the agent's state in: name a folder with --state, or set HOME")
        }
        return home + "/.local/state/hearth"
    }

    /// Makes the folder if it is missing; as root, for another user. Throws if others could read it.
    static func prepare(_ path: String, for user: SystemUser?) throws(HostError) {
        let files = FileManager.default
        do {
            let service = ServiceFolders.standard
            if let user, path == service.state, !files.fileExists(atPath: path) {
                try service.makeRoot(for: user)
                try service.make(path, mode: 0o700, for: user)
            }
            if !files.fileExists(atPath: path) {
                try files.createDirectory(
                    atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                if let user {
                    try files.setAttributes(
                        [.ownerAccountID: Int(user.uid), .groupOwnerAccountID: Int(user.gid)], ofItemAtPath: path)
                }
            }
            let attributes = try files.attributesOfItem(atPath: path)
            let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
            let owner = (attributes[.ownerAccountID] as? NSNumber)?.uint32Value
            let expected = user?.uid ?? SystemUser.currentID
            guard owner == expected else {
                throw HostError(
                    "the state folder \(path) belongs to another user: chown it, or name another with --state")
            }
            guard mode & 0o077 == 0 else {
                throw HostError(
                    "the state folder \(path) is open to others: chmod 700 it, or name another with --state")
            }
        } catch let error as HostError {
            throw error
        } catch {
            throw HostError(
                "the state folder \(path) cannot be made: \(error.localizedDescription); name another with --state")
        }
    }
}
