/// Drafts what followed the last tokens of a sequence when they stood there before: texts repeat names, quotations and
/// code.
package enum DraftLookup {
    /// So many last tokens are compared at most; of longer matches the latest counts.
    package static let matchMax = 4
    /// Fewer matching tokens say nothing.
    package static let matchMin = 2
    /// The part of a sequence, from its end, that is searched: a step must not take long for it.
    package static let searchedTokensMax = 16_384

    /// What followed the longest match, and the latest of those as long; empty where there is none. At most `count`
    /// tokens.
    package static func draft(after tokens: [Int32], count: Int) -> ArraySlice<Int32> {
        guard count > 0, let last = tokens.last else { return [] }
        var best = (length: matchMin - 1, end: 0)
        tokens.withUnsafeBufferPointer { tokens in
            let end = tokens.count - 1
            var place = end - 1
            let first = max(0, end - searchedTokensMax)
            while place >= first, best.length < matchMax {
                if tokens[place] == last {
                    var length = 1
                    while length < matchMax, place >= length, tokens[place - length] == tokens[end - length] {
                        length += 1
                    }
                    if length > best.length { best = (length, place) }
                }
                place -= 1
            }
        }
        guard best.length >= matchMin else { return [] }
        return tokens[(best.end + 1)..<min(tokens.count, best.end + 1 + count)]
    }
}
