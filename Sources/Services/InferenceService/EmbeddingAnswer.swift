internal import BackendIPC
internal import WireFormat

/// The answer to a consumer, made of the numbers that a backend sent, whose counts and finiteness the contract has
/// checked: vectors are cut and divided by their lengths, documents put in the order of their scores. Pure.
enum EmbeddingAnswer {
    /// A serialized `hearth.v1.EmbedResponse` or `RerankResponse`.
    static func bytes(of answer: Embedded, to request: EmbeddingRequest) -> [UInt8] {
        switch request.task {
        case .embed: vectors(answer, request)
        case .rerank: documents(answer, request)
        }
    }

    private static func vectors(_ answer: Embedded, _ request: EmbeddingRequest) -> [UInt8] {
        let whole = answer.values.count / max(1, answer.tokens.count)
        let width = min(whole, Int(request.dimensions ?? .max))
        let inputs = answer.tokens.indices.map { index in
            Counted(tokens: answer.tokens[index], leftOut: answer.leftOut(at: index), fieldsFrom: 2)
        }
        // A vector that was not empty has a length, also where all its numbers are 0.
        let vectorSize = width == 0 ? 0 : WireSize.field(1, byteCount: width * 4)
        let size = inputs.reduce(0) { $0 + WireSize.field(1, byteCount: vectorSize + $1.encodedSize) }
        return written(size, computed: answer.computedTokens) { writer in
            for (index, input) in inputs.enumerated() {
                writer.field(1, byteCount: vectorSize + input.encodedSize)
                if width > 0 {
                    let vector = answer.values[index * whole..<index * whole + width]
                    writer.field(1, byteCount: width * 4)
                    writer.raw(floats: request.normalises ? normalised(vector) : vector)
                }
                input.encode(to: &writer)
            }
        }
    }

    /// Divided by its Euclidean length; as it is where that is 0.
    static func normalised(_ vector: ArraySlice<Float>) -> ArraySlice<Float> {
        let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length > 0 else { return vector }
        return vector.map { Float(Double($0) / length) }[...]
    }

    private static func documents(_ answer: Embedded, _ request: EmbeddingRequest) -> [UInt8] {
        let order = answer.values.indices.sorted {
            (answer.values[$1], $0) < (answer.values[$0], $1)
        }.prefix(Int(request.topN ?? .max))
        let documents = order.map { index in
            let counted = Counted(tokens: answer.tokens[index], leftOut: answer.leftOut(at: index), fieldsFrom: 3)
            let size = WireSize.field(1, varint: UInt64(index)) + WireSize.fixed32(2) + counted.encodedSize
            return (index: index, counted: counted, size: size)
        }
        let size = documents.reduce(0) { $0 + WireSize.field(1, byteCount: $1.size) }
        return written(size, computed: answer.computedTokens) { writer in
            for document in documents {
                writer.field(1, byteCount: document.size)
                writer.field(1, varint: UInt64(document.index))
                writer.field(2, float: answer.values[document.index])
                document.counted.encode(to: &writer)
            }
        }
    }

    private static func written(_ size: Int, computed: UInt32, _ write: (inout WireWriter) -> Void) -> [UInt8] {
        let size = size + WireSize.field(2, varint: UInt64(computed))
        return [UInt8](unsafeUninitializedCapacity: size) { memory, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(memory))
            write(&writer)
            writer.field(2, varint: UInt64(computed))
            count = size - writer.remaining
        }
    }

    /// The two counts of an input or a document.
    private struct Counted {
        let tokens: UInt32
        let leftOut: UInt32
        let fieldsFrom: Int

        var encodedSize: Int {
            WireSize.field(fieldsFrom, varint: UInt64(tokens)) + WireSize.field(fieldsFrom + 1, varint: UInt64(leftOut))
        }

        func encode(to writer: inout WireWriter) {
            writer.field(fieldsFrom, varint: UInt64(tokens))
            writer.field(fieldsFrom + 1, varint: UInt64(leftOut))
        }
    }
}

extension Embedded {
    fileprivate func leftOut(at index: Int) -> UInt32 {
        leftOutTokens.indices.contains(index) ? leftOutTokens[index] : 0
    }
}
