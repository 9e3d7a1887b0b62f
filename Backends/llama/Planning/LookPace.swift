/// When the answer of a sequence is looked at to tell its parts apart. A look takes time in proportion to the whole
/// answer, so that looking at every token of a long one would cost more than computing them. It depends on the answer
/// alone, and on no time: a process that goes on with an answer has to know what of it was sent.
public struct LookPace: Equatable, Sendable {
    /// What waits is at most this part of what was looked at: for 40 ns a byte, a look at every byte that comes costs
    /// no more than 0.1 ms.
    static let waitingShare = 2_048
    /// At most so much waits for a look, because it has to fit with the tokens that follow.
    static let unseenBytesMax = 256

    private var seenBytes = 0
    private var unseenBytes = 0

    public init() {}

    /// Text has come; returns whether to look at it now.
    public mutating func came(bytes: Int) -> Bool {
        unseenBytes += bytes
        guard unseenBytes >= min(seenBytes / Self.waitingShare, Self.unseenBytesMax) else { return false }
        seenBytes += unseenBytes
        unseenBytes = 0
        return true
    }
}
