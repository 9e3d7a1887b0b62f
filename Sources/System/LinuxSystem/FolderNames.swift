internal import Glibc

/// Reads the entries of folders and the targets of links.
package enum FolderNames {
    /// The names in a folder but "." and "..", in no order; at most `limit` (readdir(3)).
    package static func names(inFolder path: String, limit: Int) throws(LinuxError) -> [String] {
        guard let folder = opendir(path) else { throw LinuxError.last("read the folder \(path)") }
        defer { closedir(folder) }
        var names: [String] = []
        while names.count < limit, let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The target of a symbolic link, as written in it; nil when there is no link at the path (readlink(2)).
    package static func linkTarget(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &bytes, bytes.count)
        return count > 0 && count < 4096
            ? String(validating: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// The target of a link that was opened with `Descriptor.pathOnly`, as written in it (readlinkat(2)).
    static func linkTarget(_ link: borrowing Descriptor, name: String) throws(LinuxError) -> String {
        var bytes = [CChar](repeating: 0, count: 4096)
        let count = try checked("read the link \(name)") { readlinkat(link.raw, "", &bytes, bytes.count) }
        let target = bytes.prefix(count).map { UInt8(bitPattern: $0) }
        guard count < bytes.count, let text = String(validating: target, as: UTF8.self) else {
            throw LinuxError(code: ENAMETOOLONG, operation: "read the link \(name)")
        }
        return text
    }
}
