/// Tells when so much less memory is needed than before that what was freed should go back to the system. Pure.
///
/// It looks at what is held from time to time. A high tide is over when no more than half of it is left, for several looks
/// one after the other: what rises and falls every moment is not worth it.
struct MemoryEbb {
    /// Less than this is not worth it.
    static let bytesMin = 8 << 20
    static let looks = 8

    private var highest = 0
    private var lowLooks = 0

    /// More looks may be worth it though nothing is held any more.
    var isHigh: Bool { highest >= Self.bytesMin }

    /// True: give it back now.
    mutating func look(heldBytes: Int) -> Bool {
        guard heldBytes <= highest / 2, highest - heldBytes >= Self.bytesMin else {
            highest = max(highest, heldBytes)
            lowLooks = 0
            return false
        }
        lowLooks += 1
        guard lowLooks >= Self.looks else { return false }
        highest = heldBytes
        lowLooks = 0
        return true
    }
}
