internal import BackendIPC
internal import Cryptography

extension ManagedBackend {
    /// What computes a completion. Only where it is the same can another process go on with it and say what the earlier one
    /// would have said.
    package struct Identity {
        let definition: BackendDefinition
        let version: String
        let modelDigest: [UInt8]
        /// Whether it offers to go on with completions of an earlier process.
        package let canContinue: Bool

        /// The same for what is the same, in every agent.
        package var digest: [UInt8] {
            let parts = [
                definition.path, definition.executable.digest as Any, definition.manifest, definition.weights,
                definition.policy?.digest as Any, version, modelDigest,
            ]
            return Array(ValueWords.of(parts as [Any]).utf8).withUnsafeBytes(SHA256.digest)
        }

        package func isSame(as other: Identity) -> Bool {
            definition.isSame(as: other.definition) && version == other.version && modelDigest == other.modelDigest
        }
    }
}
