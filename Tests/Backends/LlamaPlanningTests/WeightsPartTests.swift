import LlamaPlanning
import Testing

@Suite("The parts of a model")
struct WeightsPartTests {
    private func part(_ number: Int, of count: Int, tensors: Int = 4, all: Int = 12) -> WeightsPart {
        WeightsPart(count: count, number: number, tensors: tensors, allTensors: all)
    }

    @Test("a whole model, and all parts in their order, are a model")
    func whole() {
        #expect(WeightsPart.flaw(of: [WeightsPart(tensors: 5, allTensors: 5)]) == nil)
        #expect(WeightsPart.flaw(of: (0..<3).map { part($0, of: 3) }) == nil)
    }

    @Test("what is not one model is told with the part that is wrong")
    func flaws() {
        func flaw(_ parts: [WeightsPart], _ words: String) {
            let flaw = WeightsPart.flaw(of: parts)
            #expect(flaw?.contains(words) == true, "\(flaw ?? "none")")
        }
        flaw([part(1, of: 3)], "the weights are part 2 of 3 of a model; bring all parts, under the names")
        flaw([part(0, of: 3), part(1, of: 3)], "the file named as part 1 of 2 is one of 3 parts of a model")
        flaw([part(0, of: 2), part(0, of: 2)], "the file named as part 2 of 2 is part 1;")
        flaw([part(0, of: 2), WeightsPart(tensors: 1, allTensors: 1)], "part 2 of 2 is a whole model")
        flaw(
            [part(0, of: 2), part(1, of: 2, all: 13)], "part 2 belongs to another model than part 1: to one of 13 ten")
        flaw([part(0, of: 2), part(1, of: 2)], "they hold 8 of 12 tensors; download the parts again")
    }
}
