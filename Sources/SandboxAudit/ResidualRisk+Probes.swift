package import SandboxPolicy

extension ResidualRisk {
    /// The probes that succeed inside because of this risk, and for no other reason: what a tier declares open is
    /// exactly what is found open.
    package var probes: [String] {
        switch name {
        // AT_EMPTY_PATH with a path: how C libraries ask about their own descriptors.
        case "path-existence": ["see-home-by-empty-path-flag"]
        case "shared-process-numbers": ["learn-host-name"]
        case "threads-unlimited": ["thread-bomb"]
        default: []
        }
    }
}
