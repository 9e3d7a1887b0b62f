package import WireFormat

/// Asks the backend to load the one model that the process serves.
package struct Load: WireMessage, Equatable, Sendable {
    package var model = ""
    /// The descriptor of the weights in the backend's process; nil for a backend without weights.
    package var weightsDescriptor: UInt32?
    /// The descriptors of the further parts of a model in parts, in order.
    package var furtherWeightsDescriptors: [UInt32] = []
    package var weightsBytes: UInt64 = 0
    package var contextTokens: UInt32 = 0
    package var maxSequences: UInt32 = 0
    package var threads: UInt32 = 0
    package var options: [String: String] = [:]
    /// Jinja; empty: the template of the weights.
    package var chatTemplate = ""
    /// Whether to answer with `Inspected` instead of loading.
    package var inspectOnly = false
    /// Ordered by name.
    package var adapters: [LoadedAdapter] = []
    /// Whether tokens are drafted by looking them up in the sequence.
    package var draftLookup = false
    /// The descriptor of the weights of a second model that drafts tokens; nil: there is none.
    package var draftWeightsDescriptor: UInt32?

    package init(
        model: String, weightsDescriptor: UInt32? = nil, furtherWeightsDescriptors: [UInt32] = [],
        weightsBytes: UInt64 = 0, contextTokens: UInt32 = 0, maxSequences: UInt32, threads: UInt32 = 1,
        options: [String: String] = [:], chatTemplate: String = "", inspectOnly: Bool = false,
        adapters: [LoadedAdapter] = [], draftLookup: Bool = false, draftWeightsDescriptor: UInt32? = nil
    ) {
        self.model = model
        self.weightsDescriptor = weightsDescriptor
        self.furtherWeightsDescriptors = furtherWeightsDescriptors
        self.weightsBytes = weightsBytes
        self.contextTokens = contextTokens
        self.maxSequences = maxSequences
        self.threads = threads
        self.options = options
        self.chatTemplate = chatTemplate
        self.inspectOnly = inspectOnly
        self.adapters = adapters
        self.draftLookup = draftLookup
        self.draftWeightsDescriptor = draftWeightsDescriptor
    }

    package var encodedSize: Int {
        var size = WireSize.field(1, string: model)
        if let weightsDescriptor { size += WireSize.field(2, varint: UInt64(weightsDescriptor)) }
        size += WireSize.field(3, varint: weightsBytes) + WireSize.field(4, varint: UInt64(contextTokens))
        size += WireSize.field(5, varint: UInt64(maxSequences)) + WireSize.field(6, varint: UInt64(threads))
        for option in options { size += WireSize.field(7, entry: option) }
        if !furtherWeightsDescriptors.isEmpty { size += WireSize.field(8, byteCount: furtherBytes) }
        if !chatTemplate.isEmpty { size += WireSize.field(9, string: chatTemplate) }
        size += WireSize.field(10, varint: inspectOnly ? 1 : 0)
        for adapter in adapters { size += WireSize.field(11, message: adapter) }
        if draftLookup { size += WireSize.field(12, varint: 1) }
        if let draftWeightsDescriptor { size += WireSize.field(13, varint: UInt64(draftWeightsDescriptor)) }
        return size
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, string: model)
        if let weightsDescriptor { writer.field(2, varint: UInt64(weightsDescriptor)) }
        writer.field(3, varint: weightsBytes)
        writer.field(4, varint: UInt64(contextTokens))
        writer.field(5, varint: UInt64(maxSequences))
        writer.field(6, varint: UInt64(threads))
        for option in options { writer.field(7, entry: option) }
        if !furtherWeightsDescriptors.isEmpty {
            writer.field(8, byteCount: furtherBytes)
            for descriptor in furtherWeightsDescriptors { writer.varint(UInt64(descriptor)) }
        }
        if !chatTemplate.isEmpty { writer.field(9, string: chatTemplate) }
        writer.field(10, varint: inspectOnly ? 1 : 0)
        for adapter in adapters { writer.field(11, message: adapter) }
        if draftLookup { writer.field(12, varint: 1) }
        if let draftWeightsDescriptor { writer.field(13, varint: UInt64(draftWeightsDescriptor)) }
    }

    /// The size of the further descriptors, packed.
    private var furtherBytes: Int { furtherWeightsDescriptors.reduce(0) { $0 + WireSize.varint(UInt64($1)) } }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): model = try reader.string(field: 1)
            case (2, .varint): weightsDescriptor = try reader.uint32()
            case (3, .varint): weightsBytes = try reader.varint()
            case (4, .varint): contextTokens = try reader.uint32()
            case (5, .varint): maxSequences = try reader.uint32()
            case (6, .varint): threads = try reader.uint32()
            case (7, .bytes):
                let option = try reader.stringEntry(field: 7)
                options[option.key] = option.value
            case (8, .bytes), (8, .varint): try reader.uint32s(field.type, into: &furtherWeightsDescriptors)
            case (9, .bytes): chatTemplate = try reader.string(field: 9)
            case (10, .varint): inspectOnly = try reader.varint() != 0
            case (11, .bytes): adapters.append(try LoadedAdapter(decoding: try reader.bytes()))
            case (12, .varint): draftLookup = try reader.bool()
            case (13, .varint): draftWeightsDescriptor = try reader.uint32()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// An adapter that requests may choose.
package struct LoadedAdapter: WireMessage, Equatable, Sendable {
    package var name = ""
    /// The descriptor of its file in the backend's process.
    package var descriptor: UInt32 = 0
    /// How strongly it is applied where a request does not say.
    package var scale: Float = 0
    /// Whether it is applied where a request names no adapters.
    package var isDefault = false

    package init(name: String, descriptor: UInt32, scale: Float, isDefault: Bool) {
        self.name = name
        self.descriptor = descriptor
        self.scale = scale
        self.isDefault = isDefault
    }

    package var encodedSize: Int {
        WireSize.field(1, string: name) + WireSize.field(2, varint: UInt64(descriptor)) + WireSize.fixed32(3)
            + WireSize.field(4, varint: isDefault ? 1 : 0)
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, string: name)
        writer.field(2, varint: UInt64(descriptor))
        writer.field(3, float: scale)
        writer.field(4, varint: isDefault ? 1 : 0)
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .bytes): name = try reader.string(field: 1)
            case (2, .varint): descriptor = try reader.uint32()
            case (3, .fixed32): scale = try reader.float()
            case (4, .varint): isDefault = try reader.bool()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// Reports that loading goes on.
package struct LoadProgress: WireMessage, Equatable, Sendable {
    /// From 0 to 1.
    package var fraction: Float = 0

    package init(fraction: Float) { self.fraction = fraction }

    package var encodedSize: Int { WireSize.fixed32(1) }

    package func encode(to writer: inout WireWriter) { writer.field(1, float: fraction) }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .fixed32): fraction = try reader.float()
            default: try reader.skip(field.type)
            }
        }
    }
}

/// Reports that the model is ready, and what it offers.
package struct Loaded: WireMessage, Equatable, Sendable {
    package var maxContextTokens: UInt32 = 0
    package var maxSequences: UInt32 = 0
    /// A serialized `hearth.v1.Sampling`; empty: nothing is told.
    package var samplingDefaults: [UInt8] = []
    /// The numbers of a vector; 0: the model makes none.
    package var embeddingDimensions: UInt32 = 0
    /// The capabilities of its `Hello`, and "generate", that the model lacks.
    package var lacking: [String] = []

    package init(
        maxContextTokens: UInt32, maxSequences: UInt32, samplingDefaults: [UInt8] = [], embeddingDimensions: UInt32 = 0,
        lacking: [String] = []
    ) {
        self.maxContextTokens = maxContextTokens
        self.maxSequences = maxSequences
        self.samplingDefaults = samplingDefaults
        self.embeddingDimensions = embeddingDimensions
        self.lacking = lacking
    }

    package var encodedSize: Int {
        var size = WireSize.field(1, varint: UInt64(maxContextTokens)) + WireSize.field(2, varint: UInt64(maxSequences))
        if !samplingDefaults.isEmpty { size += WireSize.field(10, byteCount: samplingDefaults.count) }
        if embeddingDimensions > 0 { size += WireSize.field(11, varint: UInt64(embeddingDimensions)) }
        for name in lacking { size += WireSize.field(12, string: name) }
        return size
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(maxContextTokens))
        writer.field(2, varint: UInt64(maxSequences))
        if !samplingDefaults.isEmpty { writer.field(10, bytes: samplingDefaults) }
        if embeddingDimensions > 0 { writer.field(11, varint: UInt64(embeddingDimensions)) }
        for name in lacking { writer.field(12, string: name) }
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            switch (field.number, field.type) {
            case (1, .varint): maxContextTokens = try reader.uint32()
            case (2, .varint): maxSequences = try reader.uint32()
            case (10, .bytes): samplingDefaults += try reader.bytes()
            case (11, .varint): embeddingDimensions = try reader.uint32()
            case (12, .bytes): lacking.append(try reader.string(field: 12))
            default: try reader.skip(field.type)
            }
        }
        try SamplingFields.check(samplingDefaults)
    }
}
