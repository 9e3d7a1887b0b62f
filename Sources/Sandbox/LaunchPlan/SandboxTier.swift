/// How strongly a backend is held. A tier is asked for by name; a launch that cannot reach it fails.
package enum SandboxTier: String, CaseIterable, Sendable {
    /// Every layer.
    case full
    /// Without namespaces, for machines that refuse them to ordinary users. The backend can then learn whether a path
    /// exists, if its policy allows such calls, and it shares the machine's process ids.
    case reduced

    /// The layers that the tier consists of on every machine.
    package var layers: SandboxLayers {
        switch self {
        case .full: SandboxLayers.all.subtracting(.hostDependent)
        case .reduced:
            [
                .cleanDescriptors, .cleanEnvironment, .lifeline, .noNewPrivileges, .noCapabilities, .landlock,
                .resourceLimits, .seccomp, .execOnce,
            ]
        }
    }
}
