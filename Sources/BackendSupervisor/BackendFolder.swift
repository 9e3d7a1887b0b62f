internal import LinuxSystem
internal import TerminalText

/// What one look at the backends folder found.
struct BackendFolder: Equatable, Sendable {
    /// An executable that is to be run, and its manifest's file if there is one.
    struct Candidate: Equatable, Sendable {
        let name: String
        let path: String
        let executable: FileFacts
        /// Nil without a manifest.
        let manifest: FileFacts?

        var manifestPath: String? { manifest == nil ? nil : path + ".json" }
    }

    /// Ordered by name.
    var candidates: [Candidate] = []
    /// Ordered by name.
    var ignored: [IgnoredFile] = []
    /// Names of executables that are, or whose manifest is, still being written; look again soon.
    var settling: Set<String> = []

    /// Looks at a folder; blocks. Throws when it cannot be read or others may write to it.
    static func scan(_ path: String, limits: SupervisorConfiguration.Limits) throws -> BackendFolder {
        do throws(TrustError) {
            _ = try PathTrust.open(path, .backendsFolder).facts
        } catch {
            throw SupervisorError("the backends folder \(error)")
        }
        var names = try FolderNames.names(inFolder: path, limit: limits.folderEntriesMax)
        names.removeAll { $0.hasPrefix(".") }
        names.sort()
        return look(at: names, in: path, limits: limits)
    }

    private static func look(
        at names: [String], in path: String, limits: SupervisorConfiguration.Limits
    ) -> BackendFolder {
        var folder = BackendFolder()
        let settledBefore = FileFacts.clockNanoseconds() - Int64(limits.settledMilliseconds) * 1_000_000
        var manifests: [String: FileFacts] = [:]
        var refusedManifests: Set<String> = []
        for name in names where name.hasSuffix(".json") {
            let owner = String(name.dropLast(".json".count))
            if !names.contains(owner) {
                folder.ignore(printable(name), "a manifest without an executable '\(printable(owner))' beside it")
            } else if let entry = folder.examine(name, in: path, isManifest: true) {
                if entry.changedNanoseconds > settledBefore { folder.settling.insert(owner) }
                manifests[owner] = entry
            } else {
                refusedManifests.insert(owner)
            }
        }
        for name in names where !name.hasSuffix(".json") {
            guard let entry = folder.examine(name, in: path, isManifest: false) else { continue }
            if entry.changedNanoseconds > settledBefore { folder.settling.insert(name) }
            // Without the manifest that its owner meant for it, an executable is not run at all.
            if refusedManifests.contains(name) {
                folder.ignore(name, "not run, because its manifest is refused")
            } else if !folder.settling.contains(name) {
                folder.candidates.append(
                    Candidate(
                        name: name, path: path + "/" + name, executable: entry, manifest: manifests[name]))
            }
        }
        folder.ignored.sort { $0.name < $1.name }
        return folder
    }

    /// An entry that may be used; nil after recording why not.
    private mutating func examine(_ name: String, in path: String, isManifest: Bool) -> FileFacts? {
        guard name.utf8.count <= 64, name.utf8.allSatisfy(Self.isNameByte) else {
            ignore(printable(name), "a backend's name has 1 to 64 letters, digits, '.', '_' and '-'; rename it")
            return nil
        }
        if name.hasSuffix(".json.new") {
            ignore(
                name,
                "what an installation brought beside a manifest that you changed; take what you want of it, and remove it"
            )
            return nil
        }
        guard let entry = try? FileFacts(path: path + "/" + name) else { return nil }
        do throws(TrustError) {
            try PathTrust.check(entry, isManifest ? .backendManifest : .backendExecutable, path + "/" + name)
            return entry
        } catch {
            ignore(name, error.reason)
            return nil
        }
    }

    private mutating func ignore(_ name: String, _ reason: String) {
        ignored.append(IgnoredFile(name: name, reason: reason))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// A file of the backends folder that is not run, and why.
package struct IgnoredFile: Equatable, Sendable {
    package let name: String
    /// As the end of a sentence about the file, with the remedy.
    package let reason: String
}
