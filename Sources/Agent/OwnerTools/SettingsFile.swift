internal import Foundation
internal import Glibc
internal import LinuxSystem
package import Settings
internal import StrictJSON

/// A file of settings that a command of the owner changes.
package struct SettingsFile: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    /// Nil: it is not there. Throws, naming the line, for one that an agent would not understand.
    package func read() throws(HostError) -> SettingsText? {
        let bytes: [UInt8]
        do throws(LinuxError) {
            bytes = try FileBytes.read(path, max: JSONLimits.fileBytesMax)
        } catch {
            if error.code == ENOENT { return nil }
            throw refusal(error)
        }
        return try SettingsText(bytes, file: path)
    }

    /// Replaces it at once, or makes it. It keeps its owner, its group and its mode; a symbolic link stays one.
    package func write(_ text: SettingsText) throws(HostError) {
        do throws(LinuxError) {
            guard let facts = try facts() else {
                try makeFolder()
                return try FileBytes.replace(path, with: text.bytes, mode: 0o644)
            }
            guard SystemUser.currentIsRoot || facts.owner == SystemUser.currentID else {
                throw LinuxError(code: EACCES, operation: "change \(path), which belongs to another user")
            }
            let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            try FileBytes.replace(
                resolved, with: text.bytes, mode: facts.permissions,
                owner: FileOwner(user: facts.owner, group: facts.group))
        } catch {
            throw refusal(error)
        }
    }

    /// Takes back that it was made.
    package func remove() { unlink(path) }

    private func facts() throws(LinuxError) -> FileFacts? {
        do throws(LinuxError) {
            return try FileFacts(following: path)
        } catch {
            if error.code == ENOENT { return nil }
            throw error
        }
    }

    private func makeFolder() throws(LinuxError) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        var missing: [String] = []
        var above = folder
        while above != "/", access(above, F_OK) != 0, errno == ENOENT {
            missing.append(above)
            above = URL(fileURLWithPath: above).deletingLastPathComponent().path
        }
        // Others read a service's settings; those of a user are that user's own (XDG base directory specification).
        for each in missing.reversed() {
            try checked("make the folder \(each)") { mkdir(each, SystemUser.currentIsRoot ? 0o755 : 0o700) }
        }
    }

    private func refusal(_ error: LinuxError) -> HostError {
        let isForbidden = [EACCES, EPERM, EROFS].contains(error.code) && !SystemUser.currentIsRoot
        return HostError(
            "\(error)" + (isForbidden ? "; run this as the user whose agent it is, or as root (sudo)" : ""))
    }
}
