extension LaunchPlan {
    /// The bounds of a plan, checked when it is encoded and when it is read.
    package enum Bounds {
        package static let planBytesMax = 1 << 20
        package static let stringBytesMax = 4096
        package static let listCountMax = 256
        /// Kinds of supervised calls that are counted separately for one backend; calls of further kinds are counted
        /// together.
        package static let callKindsMax = 256
        /// The most components of a bind's path.
        package static let nestingMax = 32
        package static let handedOnCountMax: UInt32 = 128
    }
}
