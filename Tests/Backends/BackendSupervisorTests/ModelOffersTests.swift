import Testing

@testable import BackendSupervisor

@Suite("ModelOffers")
struct ModelOffersTests {
    private func look(
        _ names: [String], before: String? = nil, failed: Bool = false
    ) -> String? {
        let earlier = before.flatMap { ModelOffers([$0]) }
        return ModelOffers(names, before: earlier, serverHasFailed: failed)?.server
    }

    @Test("a model that nobody offers is served by nobody, whoever served it before")
    func none() {
        #expect(look([]) == nil)
        #expect(look([], before: "a") == nil)
    }

    @Test("of newcomers the first by name serves it")
    func newcomers() {
        #expect(look(["b"]) == "b")
        #expect(look(["a", "b", "c"]) == "a")
    }

    @Test("who serves it keeps it, whoever offers it as well")
    func kept() {
        #expect(look(["a", "b", "c"], before: "b") == "b")
        #expect(look(["b", "c"], before: "b") == "b")
    }

    @Test("who does not offer it any more leaves it to the first of the others")
    func gone() {
        #expect(look(["b", "c"], before: "a") == "b")
        #expect(look(["a", "c"], before: "b") == "a")
    }

    @Test("who has failed leaves it to the first by name, which may be none but itself")
    func failed() {
        #expect(look(["a", "b"], before: "b", failed: true) == "a")
        #expect(look(["a", "b"], before: "a", failed: true) == "a")
        #expect(look(["b"], before: "b", failed: true) == "b")
    }

    @Test("whatever was before, one of those that offer it serves it and is the rival of every other")
    func rivals() throws {
        let all = ["a", "b", "c"]
        for bits in 1..<8 {
            let names = all.indices.filter { bits >> $0 & 1 == 1 }.map { all[$0] }
            for before in [nil] + all.map({ ModelOffers([$0]) }) {
                for hasFailed in [false, true] {
                    let offers = try #require(ModelOffers(names, before: before, serverHasFailed: hasFailed))
                    #expect(names.filter { offers.rival(of: $0) == nil } == [offers.server])
                    #expect(names.allSatisfy { $0 == offers.server || offers.rival(of: $0) == offers.server })
                }
            }
        }
    }
}
