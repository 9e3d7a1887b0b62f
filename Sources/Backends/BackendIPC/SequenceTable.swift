/// Which sequences run, and how many tokens each may still compute. A dense table: one entry per sequence that the
/// backend offered.
struct SequenceTable: Sendable {
    struct Entry: Sendable {
        var isRunning = false
        var cancelSent = false
        /// Tokens that may still come.
        var credit: UInt32 = 0
        /// Tokens that came.
        var tokens: UInt64 = 0
        /// The most that the request lets come; nil: what is left of the context.
        var tokensMax: UInt32?
    }

    private var entries: [Entry] = []
    /// Beside the entries, which are copied for every run.
    private var stopTokenIDs: [[UInt32]] = []
    private(set) var running = 0

    init(count: Int = 0) {
        entries = Array(repeating: Entry(), count: count)
        stopTokenIDs = Array(repeating: [], count: count)
    }

    var count: Int { entries.count }

    /// nil for a number that the table does not have.
    subscript(_ sequence: UInt32) -> Entry? {
        sequence < UInt32(entries.count) ? entries[Int(sequence)] : nil
    }

    /// All of these are for sequences that the table has.
    mutating func start(_ sequence: UInt32, credit: UInt32, _ bounds: SequenceBounds) {
        entries[Int(sequence)] = Entry(isRunning: true, credit: credit, tokensMax: bounds.tokensMax)
        stopTokenIDs[Int(sequence)] = bounds.stopTokenIDs
        running += 1
    }

    mutating func end(_ sequence: UInt32) {
        entries[Int(sequence)] = Entry()
        stopTokenIDs[Int(sequence)] = []
        running -= 1
    }

    /// Whether the request named this token as one that ends it.
    func isStopToken(_ id: UInt32, of sequence: UInt32) -> Bool { stopTokenIDs[Int(sequence)].contains(id) }

    mutating func markCancelled(_ sequence: UInt32) { entries[Int(sequence)].cancelSent = true }

    /// Whether the sum fits.
    mutating func grant(_ sequence: UInt32, tokens: UInt32) -> Bool {
        let (sum, overflow) = entries[Int(sequence)].credit.addingReportingOverflow(tokens)
        if !overflow { entries[Int(sequence)].credit = sum }
        return !overflow
    }

    /// The caller has checked that the credit is there.
    mutating func spend(_ sequence: UInt32, tokens: UInt32) {
        entries[Int(sequence)].credit -= tokens
        entries[Int(sequence)].tokens += UInt64(tokens)
    }
}
