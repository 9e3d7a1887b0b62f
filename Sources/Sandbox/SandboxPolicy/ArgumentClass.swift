/// Which argument of a system call says what kind of thing it asks for, and what that argument's values are called:
/// for `socket` the family, for `prctl` the operation. Calls that do one thing have none, nor have those whose telling
/// argument lies behind a pointer, where no filter sees it.
///
/// Pure; any thread may use it. Values come from a hostile program: every one of the 2^64 has an answer.
package enum ArgumentClass {
    /// From 0 to 5.
    package static func index(ofCall number: UInt32) -> Int? { SyscallSignature.table[number]?.telling }

    /// The value in the words of the manual pages, such as "AF_INET" or "PROT_READ|PROT_EXEC"; nil for a call without
    /// a telling argument. What has no name is a number.
    package static func words(call number: UInt32, value: UInt64) -> String? {
        guard let signature = SyscallSignature.table[number], let telling = signature.telling else { return nil }
        return signature.parameters[telling].words(value)
    }
}
