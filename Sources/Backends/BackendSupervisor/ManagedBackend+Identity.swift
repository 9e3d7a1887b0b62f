internal import BackendIPC
internal import EventLoop
internal import InferenceMessages
internal import SwiftProtobuf

internal import struct Foundation.Data

extension ManagedBackend {
    /// What computes a completion. Only where it is the same can another process go on with it and say what the earlier one
    /// would have said.
    package struct Identity {
        let definition: BackendDefinition
        let version: String
        let modelDigest: [UInt8]
        /// Whether it offers to go on with completions of an earlier process.
        package let canContinue: Bool
        let setting: BackendSetting

        package func isSame(as other: Identity) -> Bool {
            definition.isSame(as: other.definition) && version == other.version && modelDigest == other.modelDigest
        }

        /// For another agent: a serialized `hearth.handover.v1.Computer`.
        @IOLoop
        package var passed: [UInt8] {
            let computer = Hearth_Handover_V1_Computer.with {
                $0.definition =
                    PassedDefinition(definition, memoryMebibytes: nil, weights: nil, setting: setting).message
                $0.version = version
                $0.modelDigest = Data(modelDigest)
            }
            return (try? computer.serializedBytes()) ?? []
        }

        /// Whether it is what another agent has passed on.
        @IOLoop
        package func isSame(as passed: [UInt8]) -> Bool {
            guard let computer = try? Hearth_Handover_V1_Computer(serializedBytes: passed) else { return false }
            var other = PassedDefinition(computer.definition)
            // They are the model's, whose digest tells more.
            other.weights = definition.weights.places.map {
                .init(place: $0, facts: other.executable.facts, digest: [])
            }
            return other.difference(from: definition, setting: setting) == nil && computer.version == version
                && [UInt8](computer.modelDigest) == modelDigest
        }
    }
}
