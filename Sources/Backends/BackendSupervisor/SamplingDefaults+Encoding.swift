internal import SandboxPolicy
internal import WireFormat

extension SamplingDefaults {
    /// A serialized `hearth.v1.GenerateRequest` that has these values and nothing else; empty where there are none.
    var encodedRequest: [UInt8] {
        let floats: [(field: Int, value: Float?)] = [
            (1, temperature), (2, topP), (4, minP), (5, frequencyPenalty), (6, presencePenalty), (7, repetitionPenalty),
        ]
        let given = floats.compactMap { field, value in value.map { (field, $0) } }
        var size = given.reduce(0) { $0 + WireSize.fixed32($1.0) }
        if let topK { size += WireSize.field(3, varint: UInt64(topK)) }
        guard size > 0 else { return [] }
        let all = WireSize.field(6, byteCount: size)
        return [UInt8](unsafeUninitializedCapacity: all) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            writer.field(6, byteCount: size)
            for (field, value) in given { writer.field(field, float: value) }
            if let topK { writer.field(3, varint: UInt64(topK)) }
            count = all - writer.remaining
        }
    }
}
