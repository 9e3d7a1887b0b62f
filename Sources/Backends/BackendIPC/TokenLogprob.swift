package import WireFormat

/// A token and its log-probability: the fields that `hearth.v1.TokenLogprob` and `LikelyToken` have both.
package struct LikelyToken: Equatable, Sendable {
    package var id: UInt32
    /// The beginning of its text, `ContractLimits.logprobTextBytesMax` at most.
    package var text: [UInt8]
    /// The natural logarithm of its probability: finite, 0 or less.
    package var logprob: Float

    package init(id: UInt32, text: [UInt8], logprob: Float) {
        self.id = id
        self.text = text
        self.logprob = logprob
    }

    fileprivate var encodedSize: Int {
        WireSize.field(1, varint: UInt64(id)) + WireSize.field(2, byteCount: text.count) + WireSize.fixed32(3)
    }

    fileprivate func encode(to writer: inout WireWriter) {
        writer.field(1, varint: UInt64(id))
        writer.field(2, bytes: text)
        writer.field(3, float: logprob)
    }
}

/// The log-probability of a chosen token, and of the likeliest tokens in its place: what a backend sends, and how the agent
/// checks it where it lies. The agent passes the bytes on as they are.
package struct TokenLogprob: Equatable, Sendable {
    package var chosen: LikelyToken
    /// The likeliest first.
    package var alternatives: [LikelyToken]

    package init(chosen: LikelyToken, alternatives: [LikelyToken]) {
        self.chosen = chosen
        self.alternatives = alternatives
    }

    /// The size of a `hearth.v1.Logprobs` with this token alone; those of several follow one another.
    package var encodedSize: Int { WireSize.field(1, byteCount: contentSize) }

    private var contentSize: Int {
        alternatives.reduce(chosen.encodedSize) { $0 + WireSize.field(4, byteCount: $1.encodedSize) }
    }

    package func encode(to writer: inout WireWriter) {
        writer.field(1, byteCount: contentSize)
        chosen.encode(to: &writer)
        for alternative in alternatives {
            writer.field(4, byteCount: alternative.encodedSize)
            alternative.encode(to: &writer)
        }
    }
}

// The agent's check.
extension TokenLogprob {
    /// What is wrong with the log-probabilities of a run, as the end of "the sequence 0 sent"; nil where there is one for each
    /// of its tokens, with at most so many alternatives.
    package static func flaw(
        in logprobs: UnsafeRawBufferPointer, ofTokens packedTokenIDs: UnsafeRawBufferPointer, count tokenCount: Int,
        alternativesMax: Int
    ) -> String? {
        let bytesMax = tokenCount * (1 + alternativesMax) * ContractLimits.logprobBytesMax
        guard logprobs.count <= bytesMax else {
            return "\(logprobs.count) bytes of log-probabilities for \(tokenCount) tokens; at most \(bytesMax)"
        }
        do throws(WireError) {
            var ids = WireReader(packedTokenIDs)
            var reader = WireReader(logprobs)
            var count = 0
            while let field = try reader.next() {
                guard field.number == 1, field.type == .bytes else {
                    try reader.skip(field.type)
                    continue
                }
                count += 1
                guard count <= tokenCount else { break }
                let entry = try reader.bytes()
                if let flaw = try flaw(ofEntry: entry, for: try ids.uint32(), alternativesMax) { return flaw }
            }
            guard count == tokenCount else {
                return
                    "log-probabilities for \(count > tokenCount ? "more" : "fewer") than its \(tokenCount) tokens"
            }
            return nil
        } catch {
            return "malformed log-probabilities: \(error)"
        }
    }

    private static func flaw(
        ofEntry bytes: UnsafeRawBufferPointer, for id: UInt32, _ alternativesMax: Int
    ) throws(WireError) -> String? {
        var chosen = Fields()
        var last: Float = 0
        var count = 0
        var reader = WireReader(bytes)
        while let field = try reader.next() {
            guard field.number == 4, field.type == .bytes else {
                try chosen.read(field, &reader)
                continue
            }
            var alternative = Fields()
            var inner = WireReader(try reader.bytes())
            while let field = try inner.next() { try alternative.read(field, &inner) }
            count += 1
            if let flaw = alternative.flaw { return flaw }
            guard alternative.logprob <= last else {
                return "alternatives that are not in the order of their likelihood"
            }
            last = alternative.logprob
        }
        guard chosen.id == id else { return "the log-probability of the token \(chosen.id) for the token \(id)" }
        guard count <= alternativesMax else { return "\(count) alternatives for a token; at most \(alternativesMax)" }
        return chosen.flaw
    }

    /// The fields of a `LikelyToken`, without a copy of its text.
    private struct Fields {
        var id: UInt32 = 0
        var textBytes = 0
        /// Absent means 0, which is a probability of 1.
        var logprob: Float = 0

        mutating func read(_ field: WireField, _ reader: inout WireReader) throws(WireError) {
            switch (field.number, field.type) {
            case (1, .varint): id = try reader.uint32()
            case (2, .bytes): textBytes = try reader.bytes().count
            case (3, .fixed32): logprob = try reader.float()
            default: try reader.skip(field.type)
            }
        }

        var flaw: String? {
            guard logprob.isFinite, logprob <= 0 else {
                return "the log-probability \(logprob), which is not finite, or above 0"
            }
            guard textBytes <= ContractLimits.logprobTextBytesMax else {
                return "\(textBytes) bytes of text in a log-probability; at most \(ContractLimits.logprobTextBytesMax)"
            }
            return nil
        }
    }
}
