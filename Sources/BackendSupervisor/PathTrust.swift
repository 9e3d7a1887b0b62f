internal import Glibc
internal import LinuxSystem

/// Who can decide what a path leads to: looks at every folder and link on the way as the kernel walks it
/// (path_resolution(7)), but not at what stands at its end.
///
/// A folder on the way may belong to root or to this process's user, and nobody else may be able to rename what is in
/// it. Where others may write but the sticky bit is set, as in /tmp, they can rename only what is their own.
enum PathTrust {
    /// As many links as the kernel follows (path_resolution(7)).
    private static let linksMax = 40

    /// Nil when only root and this user can change where `path` leads; otherwise who else can, and the remedy.
    static func doubt(about path: String) -> String? {
        var rest = components(path.hasPrefix("/") ? path : "\(currentFolder())/\(path)")
        var place = ""
        var links = 0
        while let part = rest.popLast() {
            if part == ".." {
                place = String(place[..<(place.lastIndex(of: "/") ?? place.startIndex)])
                continue
            }
            let folder = place.isEmpty ? "/" : place
            let next = "\(place)/\(part)"
            // What is not there is for whoever opens it to tell.
            guard let holding = try? FileFacts(path: folder), let entry = try? FileFacts(path: next) else {
                return nil
            }
            if let doubt = doubt(about: holding, at: folder) { return doubt }
            guard entry.kind == .symbolicLink else {
                place = next
                continue
            }
            if let doubt = foreignness(of: entry, at: next) { return doubt }
            links += 1
            guard links <= linksMax, let target = FolderNames.linkTarget(next) else { return nil }
            if target.hasPrefix("/") { place = "" }
            rest += components(target)
        }
        return nil
    }

    private static func doubt(about folder: FileFacts, at path: String) -> String? {
        if let doubt = foreignness(of: folder, at: path) { return doubt }
        guard folder.permissions & 0o022 != 0, folder.permissions & 0o1000 == 0 else { return nil }
        // Many systems give each user a group of the same name and leave it the right to write.
        if folder.permissions & 0o002 == 0, SystemUser.isAlone(inGroup: folder.group, user: folder.owner) { return nil }
        return "can be replaced by other users, who may write to \(path) on the way to it; run: chmod go-w '\(path)'"
    }

    private static func foreignness(of entry: FileFacts, at path: String) -> String? {
        if entry.owner == 0 || entry.owner == geteuid() || entry.owner == Namespaces.unmappedUser() { return nil }
        return
            "can be replaced by user \(entry.owner), to whom \(path) on the way to it belongs; put the backends into a "
            + "folder that only root and this user have in their hands"
    }

    /// The last first.
    private static func components(_ path: String) -> [Substring] {
        path.split(separator: "/").filter { $0 != "." }.reversed()
    }

    private static func currentFolder() -> String {
        guard let path = getcwd(nil, 0) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }
}
