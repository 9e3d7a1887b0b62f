internal import LinuxSystem
internal import TerminalText

/// What one look at the backends folder found: its files as they are now, with no memory of what they were.
struct BackendFolder: Equatable, Sendable {
    /// A file that may be an executable or a manifest.
    struct File: Equatable, Sendable {
        let facts: FileFacts
        /// Whether it has been unchanged for so long that it is not being written any more.
        let isSettled: Bool
        /// Why it may not be used, as the end of a sentence about it.
        let refusal: String?
    }

    /// By name.
    var executables: [String: File] = [:]
    /// By the name of the executable that they are for.
    var manifests: [String: File] = [:]
    /// Ordered by name.
    var ignored: [IgnoredFile] = []

    /// Looks at a folder; blocks. Throws when it cannot be read or others may write to it.
    /// - Parameter before: what an earlier look found, at least `settledMilliseconds` ago.
    static func scan(
        _ path: String, limits: SupervisorConfiguration.Limits, before: BackendFolder = BackendFolder()
    ) throws -> BackendFolder {
        do throws(TrustError) {
            _ = try PathTrust.open(path, .backendsFolder).facts
        } catch {
            throw SupervisorError("the backends folder \(error)", isTransient: error.isTransient)
        }
        let names = try FolderNames.names(inFolder: path, limit: limits.folderEntriesMax)
        var folder = BackendFolder()
        for name in names.sorted() where !isTemporary(name) {
            folder.take(name, in: path, limits: limits, before)
        }
        for (name, _) in folder.manifests where folder.executables[name] == nil {
            folder.ignored.append(
                IgnoredFile(name: "\(name).json", reason: "a manifest without an executable '\(name)' beside it"))
        }
        folder.ignored.sort { $0.name < $1.name }
        return folder
    }

    /// Hidden files, and those that editors make beside the file that is edited: `x~`, `#x#`, and vim's trial `4913`.
    private static func isTemporary(_ name: String) -> Bool {
        name.hasPrefix(".") || name.hasSuffix("~") || (name.hasPrefix("#") && name.hasSuffix("#")) || name == "4913"
    }

    private mutating func take(
        _ name: String, in path: String, limits: SupervisorConfiguration.Limits, _ before: BackendFolder
    ) {
        guard name.utf8.count <= 64, name.utf8.allSatisfy(Self.isNameByte) else {
            ignored.append(
                IgnoredFile(
                    name: printable(name),
                    reason: "a backend's name has 1 to 64 letters, digits, '.', '_' and '-'; rename it"))
            return
        }
        if name.hasSuffix(".json.new") {
            ignored.append(
                IgnoredFile(
                    name: name,
                    reason: "what an installation brought beside a manifest that you changed; take what you want "
                        + "of it, and remove it"))
            return
        }
        // A file that is gone by now counts as not there.
        guard let facts = try? FileFacts(path: "\(path)/\(name)") else { return }
        let isManifest = name.hasSuffix(".json")
        let owner = isManifest ? String(name.dropLast(".json".count)) : name
        let isSettled = facts.wasQuiet(
            forMilliseconds: limits.settledMilliseconds, at: FileFacts.clockNanoseconds(),
            before: (isManifest ? before.manifests : before.executables)[owner]?.facts)
        var refusal: TrustError?
        do throws(TrustError) {
            try PathTrust.check(facts, isManifest ? .backendManifest : .backendExecutable, "\(path)/\(name)")
        } catch {
            refusal = error
        }
        let file = File(facts: facts, isSettled: isSettled, refusal: refusal?.reason)
        if isManifest { manifests[owner] = file } else { executables[owner] = file }
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
    /// The reason, as the end of a sentence about the file, with the remedy.
    package let reason: String
}
