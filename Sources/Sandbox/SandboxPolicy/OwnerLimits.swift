internal import LaunchPlan
package import LinuxSystem

/// The limits that the owner of the machine sets for one backend; a manifest can only ask for less.
package struct OwnerLimits: Equatable, Sendable {
    /// Memory beside the weights, which are counted on top.
    package var memoryMebibytes: UInt64 = 8192
    /// The memory of a backend that asks for none.
    package var defaultMemoryMebibytes: UInt64 = 1024
    package var threads: UInt32
    /// The folders whose contents a manifest may ask to read or to load weights from, beside the backend's own.
    package var readablePaths: [String] = []
    /// The devices that a manifest may ask for.
    package var devices: Set<String> = []
    /// The policies that a manifest may ask for; nil: all that are installed.
    package var policies: Set<String>?

    package init(threads: UInt32) { self.threads = threads }

    /// The readable path that contains or equals `path`, the broadest if several do, and the rest of the path, which
    /// must not lead out of it; nil where the owner does not allow to read it.
    package func place(of path: String) -> PlaceWithin? {
        guard let parts = ReadOnlyBind.components(of: path) else { return nil }
        let roots = readablePaths.compactMap(ReadOnlyBind.components).filter { parts.starts(with: $0) }
        guard let root = roots.min(by: { $0.count < $1.count }) else { return nil }
        return PlaceWithin(
            root: "/" + root.joined(separator: "/"), within: parts.dropFirst(root.count).joined(separator: "/"))
    }
}
