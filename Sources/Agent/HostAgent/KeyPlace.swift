package import ConsumerAccess
internal import Foundation
internal import Installation
internal import LinuxSystem
package import Settings

/// The file of an agent's keys, for the owner's commands, which work whether or not it runs.
package enum KeyPlace {
    /// The key file in a state folder that exists already. Throws when the folder does not.
    package static func file(state: String?, environment: [String: String]) throws(HostError) -> KeyFile {
        let folder = try StateFolder.asked(state, environment: environment)
        guard FileManager.default.fileExists(atPath: folder) else {
            throw HostError("there is no state folder \(folder): name the agent's with --state")
        }
        return KeyFile(folder: folder)
    }

    /// The same, but makes the folder if it is missing: for the service's user when called by root.
    package static func prepared(state: String?, environment: [String: String]) throws(HostError) -> KeyFile {
        let folder = try StateFolder.asked(state, environment: environment)
        if !FileManager.default.fileExists(atPath: folder) {
            var user: SystemUser?
            if SystemUser.currentIsRoot {
                user = SystemUser(named: PrivilegeDrop.serviceUser)
                guard user != nil else {
                    throw HostError(
                        "there is no state folder \(folder), and no user '\(PrivilegeDrop.serviceUser)' to make it for: "
                            + "start the agent first, or name its folder with --state")
                }
            }
            try StateFolder.prepare(folder, for: user)
        }
        return KeyFile(folder: folder)
    }
}
