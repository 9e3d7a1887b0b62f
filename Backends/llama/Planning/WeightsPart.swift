/// A file of weights as its header describes it: a whole model, or a part that llama-gguf-split has made.
package struct WeightsPart: Equatable, Sendable {
    /// The number of files that the model is split into; 1 for a whole one (`split.count`).
    package var count: Int
    /// Its number among them, from 0 (`split.no`).
    package var number: Int
    /// The tensors in it.
    package var tensors: Int
    /// The tensors of the whole model (`split.tensors.count`).
    package var allTensors: Int

    package init(count: Int = 1, number: Int = 0, tensors: Int, allTensors: Int) {
        self.count = count
        self.number = number
        self.tensors = tensors
        self.allTensors = allTensors
    }

    /// Why the files that were handed over, in this order, are not one model, as one sentence with its remedy; nil when
    /// nothing in their headers speaks against it.
    package static func flaw(of parts: [WeightsPart]) -> String? {
        if parts.count == 1, let only = parts.first, only.count > 1 {
            return
                "the weights are part \(only.number + 1) of \(only.count) of a model; bring all parts, under the names "
                + "that they had: NAME-\(digits(1))-of-\(digits(only.count)).gguf and so on"
        }
        for (index, part) in parts.enumerated() where parts.count > 1 {
            guard part.count == parts.count else {
                let what = part.count > 1 ? "one of \(part.count) parts of a model" : "a whole model"
                return "the file named as part \(index + 1) of \(parts.count) is \(what); \(remedy)"
            }
            guard part.number == index else {
                return "the file named as part \(index + 1) of \(parts.count) is part \(part.number + 1); \(remedy)"
            }
            guard part.allTensors == parts[0].allTensors else {
                return
                    "part \(index + 1) belongs to another model than part 1: to one of \(part.allTensors) tensors, and "
                    + "not of \(parts[0].allTensors); \(remedy)"
            }
        }
        let tensors = parts.reduce(0) { $0 + $1.tensors }
        guard let all = parts.first?.allTensors, tensors != all else { return nil }
        return "the parts are not of one model: they hold \(tensors) of \(all) tensors; \(remedy)"
    }

    private static let remedy = "download the parts again, under the names that they had"

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
}
