internal import Glibc
package import LinuxSystem
internal import SandboxPolicy

/// The files that go with a model: its file or all of its parts, and its settings where no other model has the same.
package struct ModelRemoval: Equatable, Sendable {
    package struct File: Equatable, Sendable {
        package let path: String
        /// Of the file itself; 0 for a link.
        package let byteCount: UInt64
        /// Where it leads to, if it is a symbolic link; that stays.
        package let target: String?
    }

    /// In the order in which they are deleted: the settings last, so that the model is never served without them.
    package let files: [File]

    /// Looks for what there is of a model; blocks. `path` is that of its file, or of its first part.
    package init(ofModelAt path: String) {
        var paths = ModelParts.paths(ofModelAt: path)
        let stem = ModelParts.stem(ofModelAt: path)
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let others = ModelLibrary(folders: [folder]).entries.filter { $0.path != path }
        if !others.contains(where: { ModelParts.stem(ofModelAt: $0.path) == stem }) { paths.append(stem + ".json") }
        files = paths.compactMap { path in
            guard let facts = try? FileFacts(path: path) else { return nil }
            let isLink = facts.kind == .symbolicLink
            return File(
                path: path, byteCount: isLink ? 0 : facts.byteCount,
                target: isLink ? FolderNames.linkTarget(path) ?? "" : nil)
        }
    }

    /// Deletes the files; a link goes, and not what it leads to. Throws at the first that cannot be deleted; one that is
    /// gone already is no error.
    package func carryOut() throws(LinuxError) {
        for file in files where unlink(file.path) != 0 && errno != ENOENT {
            throw LinuxError.last("delete \(file.path)")
        }
    }
}
