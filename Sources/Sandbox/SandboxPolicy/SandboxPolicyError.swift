package import StrictJSON

/// A policy or a manifest that is refused, or a plan that cannot be made of them: where, and what to write instead.
package typealias SandboxPolicyError = JSONError

/// The bounds of what this target reads.
package enum SandboxPolicyLimits {
    package static let manifestBytesMax = 1 << 20
    package static let rulesMax = 1024
    package static let modelsMax = 64
    package static let formatsMax = 16
    package static let optionsMax = 64
    package static let optionBytesMax = 4096
    package static let modelIDBytesMax = 128
    package static let readOnlyPathsMax = 64
}
