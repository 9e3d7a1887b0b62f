package import WireFormat

/// What few runs have, in place.
package struct RareParts {
    /// As a run's text, which it comes before: what the model wrote to itself.
    package var reasoning = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The content of a `hearth.v1.Logprobs`, fit to be copied into another message; `TokenLogprob.flaw` has to check it.
    package var logprobs = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The content of a `hearth.v1.ToolCallPieces`, fit to be copied into another message; `ToolCallProgress` has to check it.
    /// It comes behind the text.
    package var toolCalls = UnsafeRawBufferPointer(start: nil, count: 0)

    package init(
        reasoning: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        logprobs: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        toolCalls: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.reasoning = reasoning
        self.logprobs = logprobs
        self.toolCalls = toolCalls
    }

    /// Reads these fields of a `TokenRun` that was decoded before, without an error, or that `encode` has written.
    @inline(never)
    init(decoding run: UnsafeRawBufferPointer) {
        var reader = WireReader(run)
        while let field = try? reader.next() {
            guard field.type == .bytes, let content = try? reader.bytes() else {
                if (try? reader.skip(field.type)) == nil { return }
                continue
            }
            switch field.number {
            case 5: reasoning = content
            case 6: logprobs = content
            case 7: toolCalls = content
            default: continue
            }
        }
    }

    /// The size of its fields in a `TokenRun`; 0: it has none.
    package var encodedSize: Int {
        var size = 0
        if reasoning.count > 0 { size += WireSize.field(5, byteCount: reasoning.count) }
        if logprobs.count > 0 { size += WireSize.field(6, byteCount: logprobs.count) }
        if toolCalls.count > 0 { size += WireSize.field(7, byteCount: toolCalls.count) }
        return size
    }

    package func encode(to writer: inout WireWriter) {
        if reasoning.count > 0 { writer.field(5, bytes: reasoning) }
        if logprobs.count > 0 { writer.field(6, bytes: logprobs) }
        if toolCalls.count > 0 { writer.field(7, bytes: toolCalls) }
    }

    /// Its fields, copied; not for the token path.
    package var encoded: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: encodedSize) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            encode(to: &writer)
            count = encodedSize
        }
    }
}
