// For a test backend that breaks the contract on purpose. Not offered to authors.
extension Step {
    /// Emits a token even without credit.
    package mutating func emitBeyondCredit(_ sequence: Int, token: UInt32, text: UnsafeRawBufferPointer) {
        isUnchecked = true
        append(sequence, token: token, text: text)
    }

    /// Sends raw bytes after this step's batch.
    package mutating func sendRaw(_ bytes: [UInt8]) { rawOutput += bytes }
}
