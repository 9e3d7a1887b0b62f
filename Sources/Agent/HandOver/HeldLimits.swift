internal import LimitDeclaration

/// How much is kept for an agent. What goes beyond is not taken; the agent knows the same bounds, and asks for no more.
package struct HeldLimits: LimitGroup {
    @Limit("Backends and turns that are kept over the agent's death.")
    package var survivorsMax = 4096
    @Limit("Descriptors of what is kept over the agent's death; at most half of those that are reserved.")
    package var survivorDescriptorsMax = 4096
    /// What a descriptor refers to is its maker's to bound.
    @Limit("Descriptions of what is kept over the agent's death.")
    package var survivorBytesMax = 256 << 20

    package init() {}

    /// Those of a process that may have this many descriptors open for that: half of them, as who gives a duplicate away has
    /// another one.
    package init(descriptorLimit: UInt64) {
        survivorDescriptorsMax = min(survivorDescriptorsMax, Int(clamping: descriptorLimit / 2))
    }
}
