internal import WireFormat

/// The bounds that a request sets for its completion; the backend's answer is checked against them.
package struct SequenceBounds: Equatable, Sendable {
    /// The most tokens; nil: what is left of the context.
    package var tokensMax: UInt32?
    /// The stop tokens of the request: only one of these may be reported as the token that ended the completion.
    package var stopTokenIDs: [UInt32] = []
    /// The number of its stop strings.
    package var stopCount = 0

    package init(tokensMax: UInt32? = nil, stopTokenIDs: [UInt32] = [], stopCount: Int = 0) {
        self.tokensMax = tokensMax
        self.stopTokenIDs = stopTokenIDs
        self.stopCount = stopCount
    }

    /// Reads the `stopping` of a serialized `hearth.v1.GenerateRequest` and skips the rest. The agent has checked the
    /// request; for malformed bytes there are no bounds.
    init(request: [UInt8]) {
        request.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            do throws(WireError) {
                while let field = try reader.next() {
                    guard field.number == 7, field.type == .bytes else {
                        try reader.skip(field.type)
                        continue
                    }
                    // A message field that occurs twice is merged, as protobuf does.
                    try add(stopping: try reader.bytes())
                }
            } catch {
                self = SequenceBounds()
            }
        }
    }

    /// `hearth.v1.Stopping { max_tokens = 1; stop = 2; stop_token_ids = 3 }`.
    private mutating func add(stopping bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): tokensMax = try reader.uint32()
            case (2, .bytes):
                try reader.skip(field.type)
                stopCount += 1
            case (3, .varint), (3, .bytes): try reader.uint32s(field.type, into: &stopTokenIDs)
            default: try reader.skip(field.type)
            }
        }
    }
}
