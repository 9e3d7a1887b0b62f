/// How many bytes a connection reads from its socket at once; pure.
///
/// What is not parsed within the turn's steps is kept until the next one. So a connection whose bytes cost much work
/// reads less at once: what waits is better left in the socket, where the kernel bounds it, than kept in the agent for
/// each of many connections. It begins with little, because what its first bytes cost is not known before.
struct ReadSize {
    static let bytesMax = 64 << 10
    static let bytesMin = 4 << 10

    private(set) var bytes = ReadSize.bytesMin

    /// A read gave `count` bytes, of which `taken` were parsed at once.
    mutating func note(count: Int, taken: Int) {
        if taken < count {
            bytes = max(bytes / 4, Self.bytesMin)
        } else if count == bytes {
            bytes = min(bytes * 2, Self.bytesMax)
        }
    }
}
