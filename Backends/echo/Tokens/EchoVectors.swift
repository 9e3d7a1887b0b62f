/// The vectors and scores that the backend `echo` makes: a pure function of the pooling and the input. Tests recompute it;
/// `Backends/echo/README.md` describes it for other languages.
package enum EchoVectors {
    /// The number at an index of a vector, which counts from 0: the upper 24 bits of SplitMix64's output, from -1 to below
    /// 1. A float holds each exactly.
    package static func number(at index: Int, pooling: Int32, of prompt: EchoPrompt) -> Float {
        let output = EchoTokens(seed: UInt64(UInt32(bitPattern: pooling)), prompt: prompt).output(at: UInt64(index))
        return Float(output >> 40) / 8_388_608 - 1
    }

    /// The score of a document: eight times the first number of a text that is the query, a byte 0 and the document.
    package static func score(query: String, document: String) -> Float {
        8 * number(at: 0, pooling: 0, of: EchoPrompt(text: query + "\0" + document))
    }
}
