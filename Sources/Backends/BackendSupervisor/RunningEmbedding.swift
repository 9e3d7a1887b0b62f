internal import BackendIPC
package import EventLoop

/// An `Embed` that a backend's process was sent; after its answer its methods have no effect.
@IOLoop
package struct RunningEmbedding {
    let connection: BackendConnection
    let query: UInt32

    /// Asks for its end; the answer still follows, with the tokens that were computed.
    package func cancel() { connection.cancelEmbedding(query) }
}

/// The embeddings that one backend process has not answered yet; at most `ContractLimits.embedsMax`. The I/O loop's own.
@IOLoop
struct RunningEmbeddings {
    /// Questions about prompts have lower ones.
    nonisolated private static let firstNumber: UInt32 = 1 << 31

    typealias Completion = @IOLoop (Result<Embedded, SequenceLoss>) -> Void

    private var open: [UInt32: (completion: Completion, isCancelled: Bool)] = [:]
    private var lastNumber: UInt32

    /// - Parameter lastNumber: the numbers of its embeddings follow.
    nonisolated init(after lastNumber: UInt32 = 0) { self.lastNumber = lastNumber | Self.firstNumber }

    var count: Int { open.count }

    mutating func begin(_ completion: @escaping Completion) -> UInt32 {
        repeat { lastNumber = (lastNumber &+ 1) | Self.firstNumber } while open[lastNumber] != nil
        open[lastNumber] = (completion, false)
        return lastNumber
    }

    /// Whether it is to be cancelled: it is open, and was not cancelled before.
    mutating func cancel(_ number: UInt32) -> Bool {
        guard open[number]?.isCancelled == false else { return false }
        open[number]?.isCancelled = true
        return true
    }

    mutating func end(_ number: UInt32) -> Completion? { open.removeValue(forKey: number)?.completion }

    mutating func endAll() -> [Completion] {
        defer { open = [:] }
        return open.values.map(\.completion)
    }
}
