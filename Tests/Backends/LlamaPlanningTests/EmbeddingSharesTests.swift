import LlamaPlanning
import Testing

struct EmbeddingSharesTests {
    private func shares(
        room: Int, _ queries: [[Int]], inputsMax: Int = 64, after last: Int? = nil
    ) -> [[Int]] {
        let made = EmbeddingShares(
            room: room, inputsMax: inputsMax,
            among: queries.enumerated().map { EmbeddingShares.Query(number: $0, inputs: $1[...]) }, after: last)
        #expect(made.tokens == made.shares.reduce(0) { $0 + $1.tokens })
        return made.shares.map { [$0.query, $0.tokens] }
    }

    @Test func `a step has an input of each query in turn, in the order of each, as long as there is room`() {
        #expect(
            shares(room: 20, [[1, 2, 3], [4, 5, 6]]) == [[0, 1], [1, 4], [0, 2], [1, 5], [0, 3]])
        #expect(shares(room: 100, [[1], [2]]) == [[0, 1], [1, 2]])
        #expect(shares(room: 100, []) == [] && shares(room: 100, [[]]) == [])
    }

    @Test func `one input is computed however long it is, and none before an earlier one of its query`() {
        #expect(shares(room: 4, [[512, 1]]) == [[0, 512]])
        #expect(shares(room: 10, [[5, 512, 1], [3]]) == [[0, 5], [1, 3]])
    }

    @Test func `the query behind the one that ended the step before goes first, so that a long input has its turn`() {
        #expect(shares(room: 10, [[9], [10], [1]], after: 0) == [[1, 10]])
        #expect(shares(room: 10, [[9], [10], [1]], after: 1) == [[2, 1], [0, 9]])
        #expect(shares(room: 10, [[9], [10], [1]], after: 2) == [[0, 9], [2, 1]])
        #expect(shares(room: 10, [[9], [10], [1]], after: 7) == [[0, 9], [2, 1]], "that one is over")
    }

    @Test func `a step has no more inputs than it may have`() {
        #expect(shares(room: 100, [[1, 1, 1], [1, 1]], inputsMax: 3) == [[0, 1], [1, 1], [0, 1]])
    }
}
