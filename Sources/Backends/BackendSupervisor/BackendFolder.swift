internal import LinuxSystem
internal import TerminalText

/// What one look at the backends folder found: its files as they are now, with no memory of what they were.
struct BackendFolder: Equatable, Sendable {
    /// A file that may be an executable or a manifest.
    struct File: Equatable, Sendable {
        let name: String
        let facts: FileFacts
        /// Whether it has been unchanged for long enough to be complete.
        let isSettled: Bool
        /// Why it may not be used, as the end of a sentence about it.
        let refusal: String?
    }

    private struct Build: Equatable, Sendable {
        let backend: String
        let level: ProcessorLevel
        let file: File
    }

    /// By the backend's name. Of several builds of one backend, the one that this processor runs best is here.
    var executables: [String: File] = [:]
    /// The builds for one level of processors each, by their files' names.
    private var builds: [String: Build] = [:]
    /// By the name of the executable that they are for.
    var manifests: [String: File] = [:]
    /// Ordered by name.
    var ignored: [IgnoredFile] = []

    /// Looks at a folder; blocks. Throws when it cannot be read or others may write to it.
    /// - Parameters:
    ///   - before: what an earlier look found, at least `settledMilliseconds` ago.
    ///   - processor: the level of the processor; nil where it is none of x86-64.
    static func scan(
        _ path: String, limits: SupervisorConfiguration.Limits, before: BackendFolder = BackendFolder(),
        processor: ProcessorLevel? = .own
    ) throws -> BackendFolder {
        do throws(TrustError) {
            _ = try PathTrust.open(path, .backendsFolder).facts
        } catch {
            throw SupervisorError("the backends folder \(error)", isTransient: error.isTransient)
        }
        let names = try FolderNames.names(inFolder: path, limit: limits.folderEntriesMax + 1)
        var folder = BackendFolder()
        if names.count > limits.folderEntriesMax {
            folder.ignored.append(
                IgnoredFile(
                    name: "what else lies there",
                    reason:
                        "beyond the \(limits.folderEntriesMax) entries that are looked at; keep backends in the folder "
                        + "and nothing else"))
        }
        for name in names.prefix(limits.folderEntriesMax).sorted() where !isTemporary(name) {
            folder.take(name, in: path, limits: limits, before)
        }
        folder.chooseBuilds(processor)
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
            before: before.file(name, isManifest: isManifest, owner: owner)?.facts)
        var refusal: TrustError?
        do throws(TrustError) {
            try PathTrust.check(facts, isManifest ? .backendManifest : .backendExecutable, "\(path)/\(name)")
        } catch {
            refusal = error
        }
        let file = File(name: name, facts: facts, isSettled: isSettled, refusal: refusal?.reason)
        if isManifest {
            manifests[owner] = file
        } else if let (backend, level) = Self.build(name) {
            builds[name] = Build(backend: backend, level: level, file: file)
        } else {
            executables[name] = file
        }
    }

    private func file(_ name: String, isManifest: Bool, owner: String) -> File? {
        isManifest ? manifests[owner] : builds[name]?.file ?? executables[name]
    }

    /// The backend and the level in the name of a build, "NAME.x86-64-v3".
    private static func build(_ name: String) -> (backend: String, level: ProcessorLevel)? {
        for level in ProcessorLevel.allCases where name.hasSuffix(".\(level.name)") {
            let backend = name.dropLast(level.name.count + 1)
            return backend.isEmpty ? nil : (String(backend), level)
        }
        return nil
    }

    /// Puts the best build for the processor in the place of its backend. One that is still being written, or may not be
    /// used, does not stand in the way of another.
    private mutating func chooseBuilds(_ processor: ProcessorLevel?) {
        for (backend, all) in Dictionary(grouping: builds.values, by: \.backend) {
            let fitting = all.filter { build in processor.map { build.level <= $0 } ?? false }
                .sorted { $0.level > $1.level }
            if let best = fitting.first(where: { $0.file.isSettled && $0.file.refusal == nil }) {
                executables[backend] = best.file
            } else if executables[backend] == nil, let best = fitting.first {
                executables[backend] = best.file
            } else if executables[backend] == nil, let least = all.min(by: { $0.level < $1.level }) {
                let own = processor?.name ?? "of another architecture"
                ignored.append(
                    IgnoredFile(
                        name: least.file.name,
                        reason: "built for processors of the level \(least.level.name), and this one is \(own); "
                            + "bring a build for it, as \(backend)"))
            }
        }
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
