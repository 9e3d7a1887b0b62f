internal import BackendIPC
internal import SandboxPolicy
internal import WireFormat

extension SamplingDefaults {
    /// A serialized `hearth.v1.GenerateRequest` that has these values and nothing else; empty where there are none.
    var encodedRequest: [UInt8] {
        let sampling = encoded
        guard !sampling.isEmpty else { return [] }
        let all = WireSize.field(6, byteCount: sampling.count)
        return [UInt8](unsafeUninitializedCapacity: all) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            writer.field(6, bytes: sampling)
            count = all - writer.remaining
        }
    }

    /// The same as a serialized `hearth.v1.Sampling`.
    var encoded: [UInt8] {
        let floats: [(field: Int, value: Float?)] = [
            (1, temperature), (2, topP), (4, minP), (5, frequencyPenalty), (6, presencePenalty), (7, repetitionPenalty),
            (10, typicalP), (11, topNSigma), (12, xtcProbability), (13, xtcThreshold), (14, dryMultiplier),
            (15, dryBase),
        ]
        let numbers: [(field: Int, value: UInt32?)] = [
            (3, topK), (9, penaltyWindow), (16, dryAllowedLength), (17, dryWindow),
        ]
        return SamplingFields.encoded(floats: floats, numbers: numbers)
    }
}
