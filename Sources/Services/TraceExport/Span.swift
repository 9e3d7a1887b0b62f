/// One span of a trace, in the terms of OpenTelemetry's data model.
package struct Span: Equatable, Sendable {
    /// The numbers are OTLP's.
    package enum Kind: UInt64, Sendable {
        case part = 1
        case server = 2
    }

    package enum Value: Equatable, Sendable {
        case text(String)
        case number(Int64)
        case fraction(Double)
        case texts([String])
    }

    package struct Attribute: Equatable, Sendable {
        package let key: String
        package let value: Value

        package init(_ key: String, _ value: Value) {
            self.key = key
            self.value = value
        }
    }

    /// Something that happened in it.
    package struct Event: Equatable, Sendable {
        package let name: String
        /// In nanoseconds since 1970, as every moment of a span.
        package let time: UInt64

        package init(_ name: String, at time: UInt64) {
            self.name = name
            self.time = time
        }
    }

    /// Sixteen bytes.
    package var traceID: [UInt8]
    /// Eight bytes.
    package var id: [UInt8]
    /// Empty: it is the trace's first.
    package var parentID: [UInt8]
    /// The vendors' entries of the trace.
    package var traceState: String
    package var name: String
    package var kind: Kind
    package var start: UInt64
    package var end: UInt64
    package var attributes: [Attribute]
    package var events: [Event] = []
    /// Of those that were not kept.
    package var droppedEvents: UInt64 = 0
    package var isFailed = false

    package init(
        traceID: [UInt8], id: [UInt8], parentID: [UInt8], traceState: String = "", name: String, kind: Kind = .part,
        start: UInt64, end: UInt64, attributes: [Attribute] = []
    ) {
        self.traceID = traceID
        self.id = id
        self.parentID = parentID
        self.traceState = traceState
        self.name = name
        self.kind = kind
        self.start = start
        self.end = max(start, end)
        self.attributes = attributes
    }
}
