/// A file or folder of the machine that a backend may read.
package struct ReadOnlyBind: Hashable, Sendable {
    /// The absolute path outside of the sandbox; it must exist when the backend starts.
    package var source: String
    /// The part of `source` that the owner named, as an absolute path without links; the file or folder is within it.
    package var root: String
    /// The rest of `source`, looked up within `root`; empty: `root` itself.
    package var within: String
    /// The absolute path inside of the sandbox.
    package var target: String
    /// Whether files in it may be executed or mapped as code; otherwise it is mounted noexec.
    package var allowsExecution: Bool

    package init(
        source: String, root: String? = nil, within: String = "", target: String, allowsExecution: Bool = false
    ) {
        self.source = source
        self.root = root ?? source
        self.within = within
        self.target = target
        self.allowsExecution = allowsExecution
    }
}

extension ReadOnlyBind {
    /// The components of an absolute path, or nil if it is relative, "/" or has `.`, `..` or empty components.
    package static func components(of path: String) -> [Substring]? {
        guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count > 1 else { return nil }
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        return parts.contains { $0.isEmpty || $0 == "." || $0 == ".." } ? nil : parts
    }

    func validate() throws(RecordError) {
        for path in [source, root, target] + (within.isEmpty ? [] : ["/" + within]) {
            guard let parts = ReadOnlyBind.components(of: path), parts.count <= LaunchPlan.Bounds.nestingMax else {
                throw RecordError(
                    "'\(path)' cannot be bound: write an absolute path without '.' and '..', and not /")
            }
        }
    }
}
