import Testing
import WireFormat

@testable import TraceExport

/// The bytes that stock readers take are checked by `test_tracing.py`.
@Suite
struct OTLPMessageTests {
    /// The fields of a message by their numbers: varints and fixed64 as numbers, the rest as bytes.
    private func fields(_ bytes: [UInt8]) throws -> [Int: [[UInt8]]] {
        try bytes.withUnsafeBytes { memory in
            var reader = WireReader(memory)
            var fields: [Int: [[UInt8]]] = [:]
            while let field = try reader.next() {
                let value: [UInt8] =
                    switch field.type {
                    case .bytes: Array(try reader.bytes())
                    case .varint: [UInt8(truncatingIfNeeded: try reader.varint())]
                    case .fixed64: [UInt8(truncatingIfNeeded: try reader.fixed64())]
                    case .fixed32: [UInt8(truncatingIfNeeded: try reader.fixed32())]
                    }
                fields[field.number, default: []].append(value)
            }
            return fields
        }
    }

    @Test("A span has the numbers of OTLP's fields, and none without content")
    func span() throws {
        var span = Span(
            traceID: Array(1...16), id: Array(1...8), parentID: [], name: "chat x", kind: .server, start: 5, end: 4)
        let bare = try fields(OTLP.span(span))
        #expect(Set(bare.keys) == [1, 2, 5, 6, 7, 8])
        #expect(bare[1] == [Array(1...16)] && bare[2] == [Array(1...8)] && bare[6] == [[2]])
        // It ends no sooner than it begins.
        #expect(bare[7] == [[5]] && bare[8] == [[5]])
        span.parentID = Array(8...15)
        span.traceState = "a=1"
        span.isFailed = true
        span.attributes = [Span.Attribute("a", .number(0)), Span.Attribute("b", .texts([]))]
        span.events = [Span.Event("paused", at: 9)]
        span.droppedEvents = 7
        let whole = try fields(OTLP.span(span))
        #expect(whole[3] == [Array("a=1".utf8)] && whole[4] == [Array(8...15)] && whole[12] == [[7]])
        #expect(whole[9]?.count == 2 && whole[11]?.count == 1)
        #expect(try fields(whole[15]?.first ?? []) == [3: [[2]]])
        // The value 0 is a value.
        let number = try fields(whole[9]?.first ?? [])
        #expect(try fields(number[2]?.first ?? []) == [3: [[0]]])
    }

    @Test("What a collector has not taken is read from its answer; an answer without it says that all is well")
    func partialSuccess() throws {
        #expect(try OTLP.partialSuccess([]) == nil)
        #expect(try OTLP.partialSuccess([0x0a, 0]) == nil)
        let partial = try OTLP.partialSuccess([0x0a, 6, 0x08, 3, 0x12, 2, 0x6e, 0x6f])
        #expect(partial?.rejectedSpans == 3 && partial?.message == "no")
        #expect(throws: WireError.self) { try OTLP.partialSuccess([0x0a, 9, 1]) }
    }
}
