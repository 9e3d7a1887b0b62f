/// Which sequences run, and how many tokens each may still compute; at the agent's end also what it has granted and cancelled
/// and not said yet. A dense table: one entry per sequence that the backend offered.
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

    private struct Unsaid: Sendable {
        /// Which of the sequences that have had this number it is for.
        var serial: UInt64 = 0
        var credit: UInt32 = 0
        var isCancelled = false
        /// It stands in `withUnsaid`.
        var isListed = false
    }

    private var entries: [Entry] = []
    /// Beside the entries, which are copied for every run.
    private var stopTokenIDs: [[UInt32]] = []
    private var unsaid: [Unsaid] = []
    private var withUnsaid: [UInt32] = []
    private(set) var running = 0
    /// Sequences that were ever begun.
    private var begun: UInt64 = 0

    init(count: Int = 0) {
        entries = Array(repeating: Entry(), count: count)
        stopTokenIDs = Array(repeating: [], count: count)
        unsaid = Array(repeating: Unsaid(), count: count)
    }

    var count: Int { entries.count }

    /// nil for a number that the table does not have.
    subscript(_ sequence: UInt32) -> Entry? {
        sequence < UInt32(entries.count) ? entries[Int(sequence)] : nil
    }

    /// The lowest number that no sequence has.
    var free: UInt32? {
        running < entries.count ? entries.firstIndex { !$0.isRunning }.map { UInt32($0) } : nil
    }

    /// Some sequence may still compute.
    var hasCredit: Bool { entries.contains { $0.credit > 0 } }

    /// All of these are for sequences that the table has.
    mutating func start(_ sequence: UInt32, credit: UInt32, _ bounds: SequenceBounds) {
        entries[Int(sequence)] = Entry(isRunning: true, credit: credit, tokensMax: bounds.tokensMax)
        stopTokenIDs[Int(sequence)] = bounds.stopTokenIDs
        begun += 1
        unsaid[Int(sequence)] = Unsaid(serial: begun, isListed: unsaid[Int(sequence)].isListed)
        running += 1
    }

    mutating func end(_ sequence: UInt32) {
        entries[Int(sequence)] = Entry()
        stopTokenIDs[Int(sequence)] = []
        running -= 1
    }

    /// Ends all of them; no name of one comes to mean another.
    mutating func endAll() {
        let begun = begun
        self = SequenceTable(count: count)
        self.begun = begun
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

/// Names one sequence of a conversation; after its end it names nothing, even though its number is used again.
package struct SequenceID: Hashable, Sendable {
    let number: UInt32
    let serial: UInt64
}

// What is not said yet: added up, so that it takes no more room while the backend does not read.
extension SequenceTable {
    /// The name of the sequence that runs with this number.
    func id(of number: UInt32) -> SequenceID? {
        self[number]?.isRunning == true ? SequenceID(number: number, serial: unsaid[Int(number)].serial) : nil
    }

    /// False when the sequence has ended or is cancelled.
    mutating func add(_ tokens: UInt32, to id: SequenceID) -> Bool {
        guard tokens > 0, isOpen(id) else { return false }
        let (sum, overflow) = unsaid[Int(id.number)].credit.addingReportingOverflow(tokens)
        unsaid[Int(id.number)].credit = overflow ? .max : sum
        list(id.number)
        return true
    }

    /// False when the sequence has ended or was cancelled before.
    mutating func cancel(_ id: SequenceID) -> Bool {
        guard isOpen(id) else { return false }
        unsaid[Int(id.number)].isCancelled = true
        list(id.number)
        return true
    }

    /// Tells what is to be said of each sequence that still runs. From then on it counts as said.
    mutating func takeUnsaid(_ body: (_ sequence: UInt32, _ credit: UInt32, _ isCancelled: Bool) -> Void) {
        for sequence in withUnsaid {
            let index = Int(sequence)
            let (credit, isCancelled) = (unsaid[index].credit, unsaid[index].isCancelled)
            unsaid[index].credit = 0
            unsaid[index].isListed = false
            guard entries[index].isRunning else { continue }
            let said = min(credit, .max - entries[index].credit)
            entries[index].credit += said
            if isCancelled { entries[index].cancelSent = true }
            body(sequence, said, isCancelled)
        }
        withUnsaid.removeAll(keepingCapacity: true)
    }

    private func isOpen(_ id: SequenceID) -> Bool {
        self[id.number]?.isRunning == true && unsaid[Int(id.number)].serial == id.serial
            && !unsaid[Int(id.number)].isCancelled
    }

    private mutating func list(_ sequence: UInt32) {
        if unsaid[Int(sequence)].isListed { return }
        unsaid[Int(sequence)].isListed = true
        withUnsaid.append(sequence)
    }
}
