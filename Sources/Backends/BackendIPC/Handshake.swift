package import WireFormat

/// The backend's first message.
package struct Hello: WireMessage, Equatable, Sendable {
    package var minRevision: UInt32 = 1
    package var maxRevision: UInt32 = 1
    package var name = ""
    package var version = ""
    package var capabilities: [String] = []

    /// Loads weights in several parts.
    package static let splitWeights = "split_weights"
    /// Takes a chat template in place of the weights' own.
    package static let chatTemplate = "chat_template"
    /// Tells the model's reasoning apart from its answer.
    package static let reasoning = "reasoning"
    /// Looks for stop strings itself.
    package static let stopStrings = "stop_strings"
    /// Tells the tool calls of its model.
    package static let tools = "tools"
    /// Computes with adapters of the model.
    package static let adapters = "adapters"
    /// Tells the log-probabilities of its tokens.
    package static let logprobs = "logprobs"
    /// Knows the samplers beyond the usual ones.
    package static let samplers = "samplers"
    /// Drafts tokens by looking them up in the sequence.
    package static let draftLookup = "draft_lookup"
    /// Drafts tokens with a second model.
    package static let draftModel = "draft_model"
    /// Counts the tokens of a prompt.
    package static let countTokens = "count_tokens"
    /// Tells the tokens of a prompt, and its text.
    package static let tokenize = "tokenize"
    /// Makes vectors of inputs.
    package static let embed = "embed"
    /// Scores documents.
    package static let rerank = "rerank"
    /// Makes completions. No `Hello` names it: only a model can lack it (`Loaded.lacking`).
    package static let generate = "generate"
    /// Goes on with a completion of an earlier process.
    package static let `continue` = "continue"
    /// Capabilities that matter to the agent, and not to consumers.
    package static let ofAgent = [
        "inspect", splitWeights, chatTemplate, stopStrings, draftLookup, draftModel, `continue`,
    ]

    package init(
        minRevision: UInt32 = ContractLimits.revisions.lowerBound,
        maxRevision: UInt32 = ContractLimits.revisions.upperBound,
        name: String, version: String, capabilities: [String] = []
    ) {
        self.minRevision = minRevision
        self.maxRevision = maxRevision
        self.name = name
        self.version = version
        self.capabilities = capabilities
    }

    package var encodedSize: Int {
        var size = WireSize.field(1, varint: UInt64(minRevision)) + WireSize.field(2, varint: UInt64(maxRevision))
        size += WireSize.field(3, string: name) + WireSize.field(4, string: version)
        for capability in capabilities { size += WireSize.field(5, string: capability) }
        return size
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(minRevision))
        writer.field(2, varint: UInt64(maxRevision))
        writer.field(3, string: name)
        writer.field(4, string: version)
        for capability in capabilities { writer.field(5, string: capability) }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        minRevision = 0
        maxRevision = 0
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): minRevision = try reader.uint32()
            case (2, .varint): maxRevision = try reader.uint32()
            case (3, .bytes): name = try reader.string(field: 3)
            case (4, .bytes): version = try reader.string(field: 4)
            case (5, .bytes): capabilities.append(try reader.string(field: 5))
            default: try reader.skip(field.type)
            }
        }
    }
}

/// The agent's answer to `Hello`: the revision in force from here on.
package struct Welcome: WireMessage, Equatable, Sendable {
    package var revision: UInt32 = 0
    package var maxFrameBytes: UInt32 = 0
    package var pingIntervalMilliseconds: UInt32 = 0

    package init(revision: UInt32, maxFrameBytes: UInt32, pingIntervalMilliseconds: UInt32) {
        self.revision = revision
        self.maxFrameBytes = maxFrameBytes
        self.pingIntervalMilliseconds = pingIntervalMilliseconds
    }

    package var encodedSize: Int {
        WireSize.field(1, varint: UInt64(revision)) + WireSize.field(2, varint: UInt64(maxFrameBytes))
            + WireSize.field(3, varint: UInt64(pingIntervalMilliseconds))
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(revision))
        writer.field(2, varint: UInt64(maxFrameBytes))
        writer.field(3, varint: UInt64(pingIntervalMilliseconds))
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): revision = try reader.uint32()
            case (2, .varint): maxFrameBytes = try reader.uint32()
            case (3, .varint): pingIntervalMilliseconds = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// The agent's answer to `Hello` without a common revision: the backend ends its process.
package struct Reject: WireMessage, Equatable, Sendable {
    package var reason = ""
    package var minRevision: UInt32 = 0
    package var maxRevision: UInt32 = 0

    package init(reason: String, revisions: ClosedRange<UInt32> = ContractLimits.revisions) {
        self.reason = reason
        minRevision = revisions.lowerBound
        maxRevision = revisions.upperBound
    }

    package var encodedSize: Int {
        WireSize.field(1, string: reason) + WireSize.field(2, varint: UInt64(minRevision))
            + WireSize.field(3, varint: UInt64(maxRevision))
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, string: reason)
        writer.field(2, varint: UInt64(minRevision))
        writer.field(3, varint: UInt64(maxRevision))
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): reason = try reader.string(field: 1)
            case (2, .varint): minRevision = try reader.uint32()
            case (3, .varint): maxRevision = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}
