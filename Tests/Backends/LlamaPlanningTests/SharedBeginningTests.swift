import LlamaPlanning
import Testing

@Suite("SharedBeginning")
struct SharedBeginningTests {
    private let beginning = SharedBeginning(tokens: 100, cache: 2)

    @Test("the later sequence waits while the earlier one computes, and takes what both share")
    func waits() {
        #expect(beginning.next(computed: 0, goesOn: true, held: 0) == .wait)
        #expect(beginning.next(computed: 99, goesOn: true, held: 0) == .wait)
        #expect(beginning.next(computed: 100, goesOn: true, held: 0) == .take(tokens: 100))
        #expect(beginning.next(computed: 180, goesOn: true, held: 0) == .take(tokens: 100), "not what only one has")
    }

    @Test("it waits for none that has ended or has no credit, and takes what there is")
    func doesNotWait() {
        #expect(beginning.next(computed: 60, goesOn: false, held: 0) == .take(tokens: 60))
        #expect(beginning.next(computed: 180, goesOn: false, held: 0) == .take(tokens: 100))
        #expect(beginning.next(computed: 5, goesOn: false, held: 0) == .compute, "not worth it")
        #expect(beginning.next(computed: 60, goesOn: false, held: 50) == .compute, "it has almost as much")
        #expect(beginning.next(computed: nil, goesOn: false, held: 0) == .compute, "what was computed is gone")
    }
}
