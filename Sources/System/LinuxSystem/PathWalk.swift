internal import Glibc

/// An open folder on the walk along a path, and the steps from it (path_resolution(7)).
struct PathWalk: ~Copyable {
    /// The folder that was reached.
    private(set) var folder: Descriptor
    private(set) var facts: FileFacts
    private var parts: [Substring]

    /// Starts at the root.
    init() throws(LinuxError) {
        let root = try Descriptor.open("/", Descriptor.pathOnly | O_DIRECTORY)
        facts = try FileFacts(of: root, name: "/")
        folder = root
        parts = []
    }

    /// The path of the folder, without links.
    var place: String { "/" + parts.joined(separator: "/") }

    /// The path of an entry of the folder.
    func place(of name: Substring) -> String { parts.isEmpty ? "/\(name)" : "\(place)/\(name)" }

    /// The parts of a path from the root, or of a link's target, the last one first, as they are walked.
    static func parts(of path: String) -> [Substring] {
        path.split(separator: "/").filter { $0 != "." }.reversed()
    }

    /// The path from the root: a relative one starts at this process's working directory.
    static func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(currentFolder())/\(path)" }

    /// The entry with this name, opened with `pathOnly`; a link is not followed.
    func entry(_ name: Substring) throws(LinuxError) -> Descriptor {
        try folder.openBelow(String(name), Descriptor.pathOnly | O_NOFOLLOW)
    }

    /// Goes down to an entry that is a folder.
    mutating func goDown(_ entry: consuming Descriptor, _ facts: FileFacts, _ name: Substring) {
        folder = entry
        self.facts = facts
        parts.append(name)
    }

    mutating func goUp() throws(LinuxError) {
        let above = try folder.openBelow("..", Descriptor.pathOnly | O_DIRECTORY)
        facts = try FileFacts(of: above, name: "..")
        folder = above
        _ = parts.popLast()
    }

    private static func currentFolder() -> String {
        guard let path = getcwd(nil, 0) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }
}
