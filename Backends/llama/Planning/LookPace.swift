/// When the answer of a sequence is looked at to tell its parts apart. A look takes time in proportion to the whole
/// answer, so that looking at every token of a long one would cost more than computing them.
public struct LookPace: Equatable, Sendable {
    /// Looks take at most a twentieth of the time.
    static let costShare: UInt64 = 20
    /// At most so much waits for a look, because it has to fit with the tokens that follow.
    static let unseenBytesMax = 256

    private var unseenBytes = 0
    /// When the last look ended, and how long it took.
    private var looked: UInt64 = 0
    private var took: UInt64 = 0

    public init() {}

    /// Text has come; returns whether to look now.
    public mutating func came(bytes: Int, atNanoseconds now: UInt64) -> Bool {
        unseenBytes += bytes
        return unseenBytes >= Self.unseenBytesMax || (now &- looked) / Self.costShare >= took
    }

    /// A look has ended.
    public mutating func looked(fromNanoseconds began: UInt64, toNanoseconds ended: UInt64) {
        unseenBytes = 0
        looked = ended
        took = ended &- began
    }
}
