internal import BaseEncodings
package import Foundation
internal import Glibc
internal import LinuxSystem
package import Settings

/// The paths of an installed or a freshly built Hearth's files, relative to the running executable.
///
/// Installed: PREFIX/bin/hearth, PREFIX/libexec/hearth/… and PREFIX/share/hearth/policies. Built: all products in one folder,
/// Policies/ in a folder above it.
package enum InstalledParts {
    /// What the kernel writes behind the path of a file that has been removed or replaced (proc(5)).
    private static let deleted = " (deleted)"

    /// The path of this process's executable; where another file may have taken its place since, that file's.
    package static func ownExecutable() throws(HostError) -> String {
        do {
            let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let isReplaced = path.hasSuffix(deleted) && !FileManager.default.fileExists(atPath: path)
            return isReplaced ? String(path.dropLast(deleted.count)) : path
        } catch {
            throw HostError("cannot find the running executable: /proc must be mounted (\(error.localizedDescription))")
        }
    }

    /// The path of a program that hearth starts, such as hearth-sandbox. Throws if it is missing.
    package static func program(_ name: String, executable: String) throws(HostError) -> String {
        let bin = folder(of: executable)
        let candidates = [
            bin.appending(path: name), prefix(of: executable).appending(path: "libexec/hearth/\(name)"),
        ]
        guard let found = candidates.map(\.path).first(where: FileManager.default.isExecutableFile) else {
            throw HostError(
                "\(name) is missing: it belongs beside \(executable) or in \(candidates[1].path); install Hearth again")
        }
        return found
    }

    /// The folder of seccomp policies: the one that the settings name, or the one that has strict.json.
    package static func policies(asked: String?, executable: String) throws(HostError) -> String {
        if let asked { return asked }
        var candidates = [prefix(of: executable).appending(path: "share/hearth/policies")]
        var above = folder(of: executable)
        for _ in 0..<4 {
            candidates.append(above.appending(path: "Policies"))
            above.deleteLastPathComponent()
        }
        let holdsStrict = { (url: URL) in
            FileManager.default.fileExists(atPath: url.appending(path: "strict.json").path)
        }
        guard let found = candidates.first(where: holdsStrict) else {
            throw HostError("the policies are not in \(candidates[0].path): say with --policies where strict.json lies")
        }
        return found.path
    }

    /// The SHA-256 of each file that the installation's list records, by folder and name: "backends/echo". Empty without a
    /// list, as beside a freshly built executable. Throws for a list that others could change, or that is not understood.
    package static func digests(executable: String) throws(HostError) -> [String: [UInt8]] {
        let path = prefix(of: executable).appending(path: "share/hearth/manifest").path
        let bytes: [UInt8]
        do throws(TrustError) {
            bytes = try PathTrust.open(path, .policy, O_RDONLY).read(max: 1 << 20)
        } catch {
            if error.isAbsence { return [:] }
            throw HostError("the list of what was installed cannot be used: \(error)")
        }
        var digests: [String: [UInt8]] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("sha256 ") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let digest = fromHexadecimal(words[1].utf8), digest.count == 32 else {
                throw HostError(
                    "\(path) has a line that is not understood, '\(line.prefix(200))'; install Hearth again")
            }
            digests[words[2].split(separator: "/").suffix(2).joined(separator: "/")] = digest
        }
        return digests
    }

    /// Throws if users other than root and this process's user could change the launcher or the policies. Call it after
    /// root was given up.
    package static func demandTrust(launcher: String, policies: String) throws(HostError) {
        let doubt =
            PathTrust.doubt(about: launcher, .launcher) ?? PathTrust.doubt(about: "\(policies)/strict.json", .policy)
        if let doubt { throw HostError("the sandbox cannot be made with what anybody could change: \(doubt)") }
    }

    /// Throws if users other than root and this process's user could change a program that takes this one's place.
    /// Returns where it lies, without links.
    package static func trusted(program path: String) throws(HostError) -> String {
        do throws(TrustError) {
            return try PathTrust.open(path, .launcher).path
        } catch {
            throw HostError("\(error)")
        }
    }

    package static func prefix(of executable: String) -> URL { folder(of: executable).deletingLastPathComponent() }

    private static func folder(of executable: String) -> URL {
        URL(fileURLWithPath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
    }
}
