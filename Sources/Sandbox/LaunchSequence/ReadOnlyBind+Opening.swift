internal import LaunchPlan
internal import LinuxSystem

extension ReadOnlyBind {
    /// Holds what is to be shown. Whoever can write below the part that the owner named can make links there, so none is
    /// followed out of it; and the way to that part is walked as the agent found it, without links.
    func open() throws(LinuxError) -> Descriptor {
        let named = try Descriptor.openWithoutLinks(root, Descriptor.pathOnly)
        return within.isEmpty ? named : try named.openBeneath(within, Descriptor.pathOnly)
    }
}
