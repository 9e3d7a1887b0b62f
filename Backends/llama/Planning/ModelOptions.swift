/// The options of a model in its settings or its manifest.
package struct ModelOptions: Equatable, Sendable {
    /// How keys and values are kept in the caches. Quantised ones take a half or less of the memory of "f16".
    package enum CacheType: String, CaseIterable, Sendable {
        case f16
        case q80 = "q8_0"
        case q51 = "q5_1"
        case q50 = "q5_0"
        case q41 = "q4_1"
        case q40 = "q4_0"
    }

    /// An option that is not understood; a sentence with the remedy.
    package struct Refusal: Error, Equatable {
        package let sentence: String
    }

    package private(set) var cacheType = CacheType.f16
    /// The tokens that the caches of all sequences together hold, in one cache that they share; nil: not set.
    package private(set) var cacheTokens: Int?

    package init(_ options: [String: String]) throws(Refusal) {
        for (name, value) in options.sorted(by: { $0.key < $1.key }) {
            switch name {
            case "cacheType":
                guard let type = CacheType(rawValue: value) else {
                    let all = CacheType.allCases.map(\.rawValue).joined(separator: ", ")
                    throw Refusal(sentence: "the option cacheType is '\(value)'; it is one of \(all)")
                }
                cacheType = type
            case "cacheTokens":
                guard let tokens = Int32(value), tokens > 0 else {
                    throw Refusal(
                        sentence:
                            "the option cacheTokens is '\(value)'; it is a number of tokens, from 1 to \(Int32.max)")
                }
                cacheTokens = Int(tokens)
            default:
                throw Refusal(sentence: "the option '\(name)' is unknown; llama knows 'cacheTokens' and 'cacheType'")
            }
        }
    }
}
