internal import WireFormat

/// The fields of a `hearth.v1.Sampling` that are told as a model's defaults.
package enum SamplingFields {
    /// Throws unless generated code could decode a serialized one.
    static func check(_ bytes: [UInt8]) throws(WireError) {
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(WireError) in try check(memory, depth: 1) }
        }
        try result.get()
    }

    private static func check(_ bytes: UnsafeRawBufferPointer, depth: Int) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (depth, field.number, field.type) {
            // The sequence breakers and the biases are messages.
            case (1, 18, .bytes): try check(try reader.bytes(), depth: 2)
            case (1, 19, .bytes): try check(try reader.bytes(), depth: 3)
            // A sequence breaker.
            case (2, 1, .bytes): _ = try reader.string(field: 1)
            default: try reader.skip(field.type)
            }
        }
    }

    /// Writes its numbers; those that are nil are absent.
    package static func encoded(
        floats: [(field: Int, value: Float?)], numbers: [(field: Int, value: UInt32?)]
    ) -> [UInt8] {
        let floats = floats.compactMap { field, value in value.map { (field, $0) } }
        let numbers = numbers.compactMap { field, value in value.map { (field, UInt64($0)) } }
        let size =
            floats.reduce(0) { $0 + WireSize.fixed32($1.0) }
            + numbers.reduce(0) { $0 + WireSize.field($1.0, varint: $1.1) }
        return [UInt8](unsafeUninitializedCapacity: size) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            for (field, value) in floats { writer.field(field, float: value) }
            for (field, value) in numbers { writer.field(field, varint: value) }
            count = size - writer.remaining
        }
    }
}
