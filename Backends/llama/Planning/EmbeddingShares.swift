/// The inputs of the open embeddings that one step computes: in turn one of each, so that one with many inputs holds up
/// none with few, and whichever came last goes first in the next step.
package struct EmbeddingShares: Equatable, Sendable {
    /// An open query and the tokens of its inputs that are not computed yet, in their order.
    package struct Query: Equatable, Sendable {
        package var number: Int
        package var inputs: ArraySlice<Int>

        package init(number: Int, inputs: ArraySlice<Int>) {
            self.number = number
            self.inputs = inputs
        }
    }

    /// An input that is computed: the query, and its tokens.
    package struct Share: Equatable, Sendable {
        package var query: Int
        package var tokens: Int
    }

    package private(set) var shares: [Share] = []
    package private(set) var tokens = 0

    /// Shares about `room` tokens, at least those of one input, among queries.
    /// - Parameters:
    ///   - inputsMax: the most inputs that a step computes.
    ///   - last: the query that the step before ended with; nil: there was none.
    package init(room: Int, inputsMax: Int, among queries: [Query], after last: Int? = nil) {
        let first = queries.firstIndex { $0.number == last }.map { $0 + 1 } ?? 0
        var waiting = Array(queries[first...] + queries[..<first])
        while !waiting.isEmpty {
            for index in waiting.indices {
                guard let next = waiting[index].inputs.first, shares.count < inputsMax,
                    shares.isEmpty || tokens + next <= room
                else {
                    waiting[index].inputs = []
                    continue
                }
                waiting[index].inputs.removeFirst()
                shares.append(Share(query: waiting[index].number, tokens: next))
                tokens += next
            }
            waiting.removeAll(where: \.inputs.isEmpty)
        }
    }
}
