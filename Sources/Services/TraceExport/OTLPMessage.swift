internal import WireFormat

/// The messages of OpenTelemetry's protocol that an export of spans needs, by hand: the numbers of their fields are those of
/// opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto and collector/trace/v1/trace_service.proto (OTLP 1,
/// https://opentelemetry.io/docs/specs/otlp/).
enum OTLP {
    static let exportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

    /// An ExportTraceServiceRequest with these spans, each encoded, of one resource and one scope.
    static func request(
        resource: [Span.Attribute], scope: (name: String, version: String), spans: [[UInt8]]
    ) -> [UInt8] {
        var described = OTLPMessage()
        for attribute in resource { described.field(1, OTLP.attribute(attribute)) }
        var instrumentation = OTLPMessage()
        instrumentation.field(1, string: scope.name)
        instrumentation.field(2, string: scope.version)
        var scoped = OTLPMessage()
        scoped.field(1, instrumentation)
        for span in spans { scoped.field(2, bytes: span) }
        var resourced = OTLPMessage()
        resourced.field(1, described)
        resourced.field(2, scoped)
        var request = OTLPMessage()
        request.field(1, resourced)
        return request.bytes
    }

    /// What the collector has not taken of an export, by its ExportTraceServiceResponse; nil: it took all and has no warning.
    /// Throws for bytes that are no such message.
    static func partialSuccess(_ response: [UInt8]) throws -> (rejectedSpans: UInt64, message: String)? {
        try response.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            var found: (UInt64, String)?
            while let field = try reader.next() {
                guard field == WireField(number: 1, type: .bytes) else {
                    try reader.skip(field.type)
                    continue
                }
                var rejected: UInt64 = 0
                var message = ""
                var inner = WireReader(try reader.bytes())
                while let field = try inner.next() {
                    switch (field.number, field.type) {
                    case (1, .varint): rejected = UInt64(clamping: Int64(bitPattern: try inner.varint()))
                    case (2, .bytes): message = String(decoding: try inner.bytes(), as: UTF8.self)
                    default: try inner.skip(field.type)
                    }
                }
                if rejected > 0 || !message.isEmpty { found = (rejected, message) }
            }
            return found
        }
    }

    static func span(_ span: Span) -> [UInt8] {
        var message = OTLPMessage()
        message.field(1, bytes: span.traceID)
        message.field(2, bytes: span.id)
        message.field(3, string: span.traceState)
        message.field(4, bytes: span.parentID)
        message.field(5, string: span.name)
        message.field(6, number: span.kind.rawValue)
        message.field(7, fixed64: span.start)
        message.field(8, fixed64: span.end)
        for attribute in span.attributes { message.field(9, OTLP.attribute(attribute)) }
        for event in span.events {
            var happened = OTLPMessage()
            happened.field(1, fixed64: event.time)
            happened.field(2, string: event.name)
            message.field(11, happened)
        }
        message.field(12, number: span.droppedEvents)
        if span.isFailed {
            var status = OTLPMessage()
            // STATUS_CODE_ERROR. It has no text: a backend's words could hold what a consumer asked.
            status.field(3, number: 2)
            message.field(15, status)
        }
        return message.bytes
    }

    /// A KeyValue.
    private static func attribute(_ attribute: Span.Attribute) -> OTLPMessage {
        var message = OTLPMessage()
        message.field(1, string: attribute.key)
        message.field(2, value(attribute.value))
        return message
    }

    /// An AnyValue. Its kind is told by the field, so that one without content is written too.
    private static func value(_ value: Span.Value) -> OTLPMessage {
        var message = OTLPMessage()
        switch value {
        case .text(let text): message.always(1, string: text)
        case .number(let number): message.always(3, number: UInt64(bitPattern: number))
        case .fraction(let number): message.always(4, fixed64: number.bitPattern)
        case .texts(let texts):
            var list = OTLPMessage()
            for text in texts { list.field(1, OTLP.value(.text(text))) }
            message.field(5, list)
        }
        return message
    }
}

/// A message that is written field by field; fields without content are left out, as proto3 has it.
struct OTLPMessage {
    private(set) var bytes: [UInt8] = []

    mutating func field(_ number: Int, string: String) {
        if !string.isEmpty { always(number, string: string) }
    }

    mutating func field(_ number: Int, bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        write(WireSize.field(number, byteCount: bytes.count)) { $0.field(number, bytes: bytes) }
    }

    mutating func field(_ number: Int, number value: UInt64) {
        if value != 0 { always(number, number: value) }
    }

    mutating func field(_ number: Int, fixed64 value: UInt64) {
        if value != 0 { always(number, fixed64: value) }
    }

    mutating func field(_ number: Int, _ message: OTLPMessage) {
        write(WireSize.field(number, byteCount: message.bytes.count)) { $0.field(number, bytes: message.bytes) }
    }

    mutating func always(_ number: Int, string: String) {
        write(WireSize.field(number, string: string)) { $0.field(number, string: string) }
    }

    mutating func always(_ number: Int, number value: UInt64) {
        write(WireSize.field(number, varint: value)) { $0.field(number, varint: value) }
    }

    mutating func always(_ number: Int, fixed64 value: UInt64) {
        write(WireSize.fixed64(number)) { $0.field(number, fixed64: value) }
    }

    private mutating func write(_ byteCount: Int, _ body: (inout WireWriter) -> Void) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: byteCount))
        bytes.withUnsafeMutableBytes { memory in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(rebasing: memory[start...]))
            body(&writer)
        }
    }
}
