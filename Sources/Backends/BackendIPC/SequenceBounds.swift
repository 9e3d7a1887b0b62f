internal import WireFormat

/// The bounds that a request sets for its completion; the backend's answer is checked against them.
package struct SequenceBounds: Equatable, Sendable {
    /// The most tokens; nil: what is left of the context.
    package var tokensMax: UInt32?
    /// The stop tokens of the request: only one of these may be reported as the token that ended the completion.
    package var stopTokenIDs: [UInt32] = []
    /// The number of its stop strings.
    package var stopCount = 0
    /// The most alternatives of each token's log-probabilities; nil: none are sent.
    package var logprobs: Int?
    /// The tools that it may call.
    package var toolNames: [String] = []

    package init(
        tokensMax: UInt32? = nil, stopTokenIDs: [UInt32] = [], stopCount: Int = 0, logprobs: Int? = nil,
        toolNames: [String] = []
    ) {
        self.tokensMax = tokensMax
        self.stopTokenIDs = stopTokenIDs
        self.stopCount = stopCount
        self.logprobs = logprobs
        self.toolNames = toolNames
    }

    /// Reads the `stopping`, the `output` and the `tools` of a serialized `hearth.v1.GenerateRequest` and skips the rest. The agent has
    /// checked the request; for malformed bytes there are no bounds.
    init(request: [UInt8]) {
        request.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            var choice: Int32 = 0
            do throws(WireError) {
                while let field = try reader.next() {
                    // A message field that occurs twice is merged, as protobuf does.
                    switch (field.number, field.type) {
                    case (7, .bytes): try add(stopping: try reader.bytes())
                    case (8, .bytes): try add(output: try reader.bytes())
                    case (12, .bytes): try add(tools: try reader.bytes(), choice: &choice)
                    default: try reader.skip(field.type)
                    }
                }
                if choice == Self.toolChoiceNone { toolNames = [] }
            } catch {
                self = SequenceBounds()
            }
        }
    }

    /// `hearth.v1.TOOL_CHOICE_NONE`.
    private static let toolChoiceNone: Int32 = 2

    /// `hearth.v1.ToolUse { tools = 1 { name = 1 }; choice = 2 }`.
    private mutating func add(tools bytes: UnsafeRawBufferPointer, choice: inout Int32) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes):
                var name = ""
                var tool = WireReader(try reader.bytes())
                while let field = try tool.next() {
                    switch (field.number, field.type) {
                    case (1, .bytes): name = try tool.string(field: 1)
                    default: try tool.skip(field.type)
                    }
                }
                toolNames.append(name)
            case (2, .varint): choice = try reader.enumeration()
            default: try reader.skip(field.type)
            }
        }
    }

    /// `hearth.v1.OutputOptions { logprobs = 2 }`.
    private mutating func add(output bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (2, .varint): logprobs = Int(try reader.uint32())
            default: try reader.skip(field.type)
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
