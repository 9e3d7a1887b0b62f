package import SandboxPolicy

extension SeccompPolicy.Rule {
    /// The rule's conditions in words, for a call: "protection without PROT_EXEC, flags MAP_PRIVATE". Empty if it has
    /// none.
    package func conditionWords(call number: UInt32) -> String {
        conditions.map { $0.words(call: number) }.joined(separator: ", ")
    }
}

extension SeccompPolicy.Condition {
    /// The condition in words, for a call's argument.
    func words(call number: UInt32) -> String {
        let parameters = SyscallSignature.table[number]?.parameters ?? []
        let parameter =
            Int(index) < parameters.count
            ? parameters[Int(index)] : SyscallSignature.Parameter(stringLiteral: "argument \(index + 1)")
        let name = parameter.name
        switch operation {
        case .equal:
            return SeccompPolicy.Condition.pointers.contains(name) && value == 0
                ? "no \(name)" : "\(name) \(parameter.words(value))"
        case .notEqual:
            return SeccompPolicy.Condition.pointers.contains(name) && value == 0
                ? "some \(name)" : "\(name) other than \(parameter.words(value))"
        case .lessThan: return "\(name) below \(parameter.words(value))"
        case .lessOrEqual: return "\(name) up to \(parameter.words(value))"
        case .greaterOrEqual: return "\(name) from \(parameter.words(value))"
        case .greaterThan: return "\(name) above \(parameter.words(value))"
        case .maskedEqual: return maskWords(parameter)
        }
    }

    /// Pointer parameters, which a policy can only compare with null.
    private static let pointers: Set<String> = ["address", "new limit", "old limit"]

    private func maskWords(_ parameter: SyscallSignature.Parameter) -> String {
        guard let vocabulary = parameter.vocabulary else {
            return "\(parameter.name) & 0x\(String(value, radix: 16)) = 0x\(String(valueTwo, radix: 16))"
        }
        // If the condition covers all bits that the vocabulary takes as one value, they get one name.
        let whole = vocabulary.valueMask != .max && value & vocabulary.valueMask == vocabulary.valueMask
        var said: [String] = []
        if whole, vocabulary.valueMask != 0 {
            said.append(vocabulary.words(valueTwo & vocabulary.valueMask))
        }
        let others = whole ? ~vocabulary.valueMask : .max
        let with = valueTwo & others
        let without = value & ~valueTwo & others
        if with != 0 { said.append("with \(vocabulary.flagWords(with))") }
        if without != 0 { said.append("without \(vocabulary.flagWords(without))") }
        return said.isEmpty ? "any \(parameter.name)" : "\(parameter.name) \(said.joined(separator: " "))"
    }
}
