internal import Foundation
internal import LinuxSystem

/// The folder of what the agent keeps: mode 0700, owned by the user who serves.
enum StateFolder {
    /// Makes it if it is missing; as root, for another user. Throws if others could read it.
    static func prepare(_ path: String, for user: SystemUser?) throws(HostError) {
        let files = FileManager.default
        do {
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
