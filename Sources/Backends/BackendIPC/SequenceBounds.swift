internal import WireFormat

/// What a request asks of the end of its completion, and the backend's answer is held against.
package struct SequenceBounds: Equatable, Sendable {
    /// The most tokens; nil: what is left of the context.
    package var tokensMax: UInt32?
    /// The tokens that may be told as the one that ended it.
    package var stopTokenIDs: [UInt32] = []

    package init(tokensMax: UInt32? = nil, stopTokenIDs: [UInt32] = []) {
        self.tokensMax = tokensMax
        self.stopTokenIDs = stopTokenIDs
    }

    /// Reads a serialized `hearth.v1.GenerateRequest` and passes over everything but its `stopping`. The agent has checked
    /// the request; of bytes that are none nothing is known.
    init(request: [UInt8]) {
        request.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            do throws(WireError) {
                while let field = try reader.next() {
                    guard field.number == 7, field.type == .bytes else {
                        try reader.skip(field.type)
                        continue
                    }
                    // Two pieces of one message are both meant, as protobuf merges them.
                    try add(stopping: try reader.bytes())
                }
            } catch {
                self = SequenceBounds()
            }
        }
    }

    /// `hearth.v1.Stopping { max_tokens = 1; stop_token_ids = 3 }`.
    private mutating func add(stopping bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): tokensMax = try reader.uint32()
            case (3, .varint), (3, .bytes): try reader.uint32s(field.type, into: &stopTokenIDs)
            default: try reader.skip(field.type)
            }
        }
    }
}
