internal import LaunchPlan
internal import LinuxSystem

extension ReadOnlyBind {
    /// Opens the file or folder to bind. Users who can write below `root` can make links there, so a link that leads
    /// out of it is not followed; and `root` itself is opened as the agent found it, without links.
    func open() throws(LinuxError) -> Descriptor {
        let named = try Descriptor.openWithoutLinks(root, Descriptor.pathOnly)
        return within.isEmpty ? named : try named.openBeneath(within, Descriptor.pathOnly)
    }
}
