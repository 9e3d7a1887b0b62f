/// Tells when memory that was freed should be returned to the system. Pure.
///
/// It is told at intervals how much of the process is in memory and how much is held. What is resident besides what is
/// held, and was not at the last return, was freed, or belongs to something else that has grown: which of the two, the
/// return itself shows. Memory is returned when much of it has been free for several intervals in a row; returning it on
/// every fluctuation would not be worth the cost. What was in use at a return may be free later, and the return does not
/// show it: so memory is returned once more when nothing has changed for long and there was much less before.
struct MemoryEbb {
    /// Less than this is not worth the cost.
    static let bytesMin = 8 << 20
    static let looks = 8
    /// Nothing changes when it is so many looks in a row within so many bytes of the look before.
    static let stillLooks = 32
    static let stillBytes = 64 << 10

    /// What is resident besides what is held; nil before the first look and after a return.
    private var base: Int?
    private var looksInRow = 0
    /// The least that was ever resident besides what is held, what it was at the last look, and for how many looks it has
    /// hardly changed.
    private var least = Int.max
    private var last = 0
    private var looksWithoutChange = 0
    /// Whether to go on looking although nothing is held any more.
    private(set) var isHigh = false

    /// True: return memory to the system now.
    mutating func look(heldBytes: Int, residentBytes: Int) -> Bool {
        let others = residentBytes - heldBytes
        let base = min(self.base ?? others, others)
        self.base = base
        least = min(least, others)
        looksWithoutChange = abs(others - last) <= Self.stillBytes ? looksWithoutChange + 1 : 0
        last = others
        if looksWithoutChange == Self.stillLooks, others - least >= Self.bytesMin { return true }
        isHigh = others - base >= Self.bytesMin
        looksInRow = isHigh ? looksInRow + 1 : 0
        guard looksInRow == Self.looks else { return false }
        self.base = nil
        looksInRow = 0
        return true
    }
}
