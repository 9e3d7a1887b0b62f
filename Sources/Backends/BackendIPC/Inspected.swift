package import WireFormat

/// Tells what a model is, and what loading it would take.
package struct Inspected: WireMessage, Equatable, Sendable {
    package var contextTokens: UInt32 = 0
    package var maxSequences: UInt32 = 0
    /// All the memory that the process would take beside the weights, of which two parts are told apart.
    package var memoryBytes: UInt64 = 0
    package var contextBytes: UInt64 = 0
    package var copiedWeightsBytes: UInt64 = 0
    package var architecture = ""
    package var name = ""
    package var parameters: UInt64 = 0
    package var quantisation = ""
    package var trainedContextTokens: UInt32 = 0
    package var licence = ""
    package var hasChatTemplate = false
    package var templateFlaw = ""
    package var cacheTokens: UInt64 = 0

    package init() {}

    /// The longest text of these, in bytes.
    package static let textBytesMax = 256

    package var encodedSize: Int {
        let numbers: [(Int, UInt64)] = [
            (1, UInt64(contextTokens)), (2, UInt64(maxSequences)), (3, memoryBytes), (4, contextBytes),
            (5, copiedWeightsBytes), (8, parameters), (10, UInt64(trainedContextTokens)), (12, hasChatTemplate ? 1 : 0),
            (14, cacheTokens),
        ]
        let texts = [(6, architecture), (7, name), (9, quantisation), (11, licence), (13, templateFlaw)]
        return numbers.reduce(0) { $0 + WireSize.field($1.0, varint: $1.1) }
            + texts.reduce(0) { $0 + WireSize.field($1.0, string: $1.1) }
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(contextTokens))
        writer.field(2, varint: UInt64(maxSequences))
        writer.field(3, varint: memoryBytes)
        writer.field(4, varint: contextBytes)
        writer.field(5, varint: copiedWeightsBytes)
        writer.field(6, string: architecture)
        writer.field(7, string: name)
        writer.field(8, varint: parameters)
        writer.field(9, string: quantisation)
        writer.field(10, varint: UInt64(trainedContextTokens))
        writer.field(11, string: licence)
        writer.field(12, varint: hasChatTemplate ? 1 : 0)
        writer.field(13, string: templateFlaw)
        writer.field(14, varint: cacheTokens)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): contextTokens = try reader.uint32()
            case (2, .varint): maxSequences = try reader.uint32()
            case (3, .varint): memoryBytes = try reader.varint()
            case (4, .varint): contextBytes = try reader.varint()
            case (5, .varint): copiedWeightsBytes = try reader.varint()
            case (6, .bytes): architecture = try reader.string(field: 6)
            case (7, .bytes): name = try reader.string(field: 7)
            case (8, .varint): parameters = try reader.varint()
            case (9, .bytes): quantisation = try reader.string(field: 9)
            case (10, .varint): trainedContextTokens = try reader.uint32()
            case (11, .bytes): licence = try reader.string(field: 11)
            case (12, .varint): hasChatTemplate = try reader.varint() != 0
            case (13, .bytes): templateFlaw = try reader.string(field: 13)
            case (14, .varint): cacheTokens = try reader.varint()
            default: try reader.skip(field.type)
            }
        }
    }
}
