/// The findings of `hearth doctor`, in the form that `--json` prints: the keys are stable.
package struct DoctorReport: Encodable, Sendable {
    package let version: String
    /// The user that the probes ran as.
    package let user: String
    package let kernel: String
    package let policy: String
    /// The strongest tier on this machine: "full", "reduced", or "refuse" for none.
    package let tier: String
    /// Why a stronger tier is not available, in the launcher's words; nil if none is stronger.
    package let obstacle: String?
    /// The exposure, from 0 (every layer holds) to 10 (none does).
    package let exposure: Double
    package let exposureWord: String
    package let layers: [Layer]
    package let findings: [Finding]
    package let probes: [Probe]
    package let residualRisks: [Risk]
    /// The command's exit status.
    package let exitStatus: Int32

    package struct Layer: Encodable, Sendable {
        package enum State: String, Encodable, Sendable {
            /// The layer was applied, and nothing shows that it does not hold.
            case holds
            /// This machine, or this tier, does not have the layer.
            case missing
            /// The layer was applied, and the kernel shows that it does not hold.
            case fails
        }
        package let name: String
        package let state: State
        /// Whether /proc shows it of a process in the sandbox; some layers leave no such trace.
        package let isSeen: Bool
        package let stops: String
        /// Its share of the exposure when it is missing, 0 to 10.
        package let exposure: Double
        package let remedy: String?
    }

    package struct Finding: Encodable, Sendable {
        package let name: String
        /// "good", "notice" or "bad".
        package let state: String
        package let text: String
        package let remedy: String?
    }

    package struct Probe: Encodable, Sendable {
        package let name: String
        package let group: String
        package let meaning: String
        /// "done", the name of the refusal's errno, or how the attempt ended.
        package let outside: String
        package let inside: String
        /// "stopped", "escaped" or "proves nothing".
        package let verdict: String
        /// Whether the tier's residual risks or the policy say that it may succeed inside.
        package let isDeclared: Bool
    }

    package struct Risk: Encodable, Sendable {
        package let name: String
        package let exposure: String
        package let remedy: String
    }

    /// Probes that succeeded inside although nothing declares that they may.
    package var unexpected: [Probe] { probes.filter { $0.verdict == "escaped" && !$0.isDeclared } }
}
