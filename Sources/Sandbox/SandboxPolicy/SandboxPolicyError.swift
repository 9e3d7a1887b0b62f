package import StrictJSON

/// Why a policy or a manifest is refused, or no plan can be made of them: the place, and what to write instead.
package typealias SandboxPolicyError = JSONError

/// The bounds of the files that this target reads.
package enum SandboxPolicyLimits {
    package static let manifestBytesMax = 1 << 20
    package static let rulesMax = 1024
    package static let modelsMax = 64
    package static let formatsMax = 16
    /// Processes that one model may ask for.
    package static let replicasMax = 16
    /// The lengths that a model's vectors can be cut to.
    package static let dimensionsMax = 32
    package static let optionsMax = 64
    package static let optionBytesMax = 4096
    package static let modelIDBytesMax = 128
    /// The contract with backends names it, too (`Load.chat_template`).
    package static let chatTemplateBytesMax = 1 << 20
    package static let readOnlyPathsMax = 64
}
