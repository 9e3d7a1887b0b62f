package import SandboxPolicy

extension ArgumentClass {
    /// The value of a call's telling argument in the words of the manual pages, such as "AF_INET" or
    /// "PROT_READ|PROT_EXEC"; nil for a call without one. A value without a name is given as a number. Values come from
    /// a hostile program, so each of the 2^64 has words.
    package static func words(call number: UInt32, value: UInt64) -> String? {
        guard let index = index(ofCall: number), let signature = SyscallSignature.table[number],
            index < signature.parameters.count
        else { return nil }
        return signature.parameters[index].words(value)
    }
}
