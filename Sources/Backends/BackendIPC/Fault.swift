package import WireFormat

/// Why something failed, in words for a consumer.
package struct Fault: Error, WireMessage, Equatable, Sendable, CustomStringConvertible {
    /// The numbers are those of `hearth.backend.v1.Fault.Code`; one that this code does not know reads as `internal`.
    package enum Code: Int32, Sendable, CaseIterable {
        case invalidArgument = 1
        case contextOverflow = 2
        case unsupported = 3
        case overloaded = 4
        case `internal` = 5
        case badModel = 6
    }

    package var code: Code = .internal
    package var message = ""

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code): \(message)" }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(code.rawValue)) + WireSize.field(2, string: message)
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(code.rawValue))
        writer.field(2, string: message)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): code = Code(rawValue: try reader.enumeration()) ?? .internal
            case (2, .bytes): message = try reader.string(field: 2)
            default: try reader.skip(field.type)
            }
        }
    }
}
