/// Tells when memory that was freed should be returned to the system, because much less of it is needed than before.
/// Pure.
///
/// It is told at intervals how much is held. Memory is returned when no more than half of the peak has been held for
/// several intervals in a row; returning it on every fluctuation would not be worth the cost.
struct MemoryEbb {
    /// A peak below this is not worth the cost.
    static let bytesMin = 8 << 20
    static let looks = 8

    private var highest = 0
    private var lowLooks = 0

    /// Whether to go on looking although nothing is held any more.
    var isHigh: Bool { highest >= Self.bytesMin }

    /// True: return memory to the system now.
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
