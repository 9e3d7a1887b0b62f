// For a backend that plays a broken one, so that tests see how the agent bears it. Not offered to authors.
extension Step {
    /// A token whether or not there is credit.
    package mutating func emitBeyondCredit(_ sequence: Int, token: UInt32, text: UnsafeRawBufferPointer) {
        isUnchecked = true
        append(sequence, token: token, text: text)
    }

    /// Bytes that stand on the socket after this step's batch, as they are.
    package mutating func sendRaw(_ bytes: [UInt8]) { rawOutput += bytes }
}
