internal import Glibc

/// A place in the tree of folders that is held open, and the steps from it (path_resolution(7)).
struct PathWalk: ~Copyable {
    /// The folder that was reached.
    private(set) var folder: Descriptor
    private(set) var facts: FileFacts
    private var parts: [Substring]

    /// At the root.
    init() throws(LinuxError) {
        let root = try Descriptor.open("/", Descriptor.pathOnly | O_DIRECTORY)
        facts = try FileFacts(of: root, name: "/")
        folder = root
        parts = []
    }

    /// Where it is, without links.
    var place: String { "/" + parts.joined(separator: "/") }

    /// Where an entry of the folder is.
    func place(of name: Substring) -> String { parts.isEmpty ? "/\(name)" : "\(place)/\(name)" }

    /// The parts of a path from the root, or of a link's target, the last one first, as they are walked.
    static func parts(of path: String) -> [Substring] {
        path.split(separator: "/").filter { $0 != "." }.reversed()
    }

    /// A path from the root: a relative one is meant from this process's folder.
    static func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(currentFolder())/\(path)" }

    /// What has this name in the folder, held and not opened; a link is not followed.
    func entry(_ name: Substring) throws(LinuxError) -> Descriptor {
        try folder.openBelow(String(name), Descriptor.pathOnly | O_NOFOLLOW)
    }

    /// To an entry that is a folder.
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
