/// The running sequences, and the credit of each; at the agent's end also credit and cancellations that were not sent
/// yet. A dense table: one entry per sequence that the backend offered.
struct SequenceTable: Sendable {
    struct Entry: Sendable {
        var isRunning = false
        var cancelSent = false
        /// The tokens that may still come.
        var credit: UInt32 = 0
        /// Tokens of the completion, those of an earlier process included.
        var tokens: UInt64 = 0
        /// The most tokens that the request allows; nil: what is left of the context.
        var tokensMax: UInt32?
    }

    private struct Unsaid: Sendable {
        /// Tells the sequences apart that have had this number.
        var serial: UInt64 = 0
        var credit: UInt32 = 0
        var isCancelled = false
        /// Whether it is in `withUnsaid`.
        var isListed = false
    }

    private var entries: [Entry] = []
    /// Not in the entries, because those are copied for every run.
    private var bounds: [SequenceBounds] = []
    private var toolCalls: [ToolCallProgress] = []
    private var unsaid: [Unsaid] = []
    private var withUnsaid: [UInt32] = []
    private(set) var running = 0
    /// How many of them send log-probabilities.
    private(set) var withLogprobs = 0
    /// The number of sequences begun so far.
    private var begun: UInt64 = 0

    init(count: Int = 0) {
        entries = Array(repeating: Entry(), count: count)
        bounds = Array(repeating: SequenceBounds(), count: count)
        toolCalls = Array(repeating: ToolCallProgress(), count: count)
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

    /// Whether some sequence has credit, or was cancelled and has not finished.
    var hasWork: Bool { entries.contains { $0.credit > 0 || $0.cancelSent } }

    /// The functions below need a sequence number that the table has.
    mutating func start(
        _ sequence: UInt32, credit: UInt32, _ bounds: SequenceBounds, _ continuation: Continuation? = nil
    ) {
        entries[Int(sequence)] = Entry(
            isRunning: true, credit: credit, tokens: UInt64(continuation?.tokenCount ?? 0),
            tokensMax: bounds.tokensMax)
        if bounds.logprobs != nil { withLogprobs += 1 }
        self.bounds[Int(sequence)] = bounds
        toolCalls[Int(sequence)] = continuation?.toolCalls ?? ToolCallProgress()
        begun += 1
        unsaid[Int(sequence)] = Unsaid(serial: begun, isListed: unsaid[Int(sequence)].isListed)
        running += 1
    }

    mutating func end(_ sequence: UInt32) {
        entries[Int(sequence)] = Entry()
        if bounds[Int(sequence)].logprobs != nil { withLogprobs -= 1 }
        bounds[Int(sequence)] = SequenceBounds()
        running -= 1
    }

    /// Ends all sequences; an old `SequenceID` never names a new one.
    mutating func endAll() {
        let begun = begun
        self = SequenceTable(count: count)
        self.begun = begun
    }

    /// Whether the request named this token as one that ends it.
    func isStopToken(_ id: UInt32, of sequence: UInt32) -> Bool { bounds[Int(sequence)].stopTokenIDs.contains(id) }

    /// The most alternatives that each token comes with; nil: it has no log-probabilities.
    func logprobs(of sequence: UInt32) -> Int? { bounds[Int(sequence)].logprobs }

    /// What is wrong with these pieces of tool calls, as the end of "the sequence 0 sent"; nil: they were counted.
    mutating func flaw(in pieces: UnsafeRawBufferPointer, of sequence: UInt32) -> String? {
        let names = bounds[Int(sequence)].toolNames
        if names.isEmpty { return "tool calls that nobody asked for" }
        return toolCalls[Int(sequence)].flaw(in: pieces, names: names)
    }

    /// How far its tool calls have come.
    func toolCallProgress(of sequence: UInt32) -> ToolCallProgress { toolCalls[Int(sequence)] }

    /// Whether the arguments of its last tool call, if there is one, are whole.
    func hasWholeCalls(_ sequence: UInt32) -> Bool { toolCalls[Int(sequence)].isWhole }

    /// The number of the request's stop strings.
    func stopCount(of sequence: UInt32) -> Int { bounds[Int(sequence)].stopCount }

    mutating func markCancelled(_ sequence: UInt32) { entries[Int(sequence)].cancelSent = true }

    /// False: the sum does not fit in 32 bits.
    mutating func grant(_ sequence: UInt32, tokens: UInt32) -> Bool {
        let (sum, overflow) = entries[Int(sequence)].credit.addingReportingOverflow(tokens)
        if !overflow { entries[Int(sequence)].credit = sum }
        return !overflow
    }

    /// The caller has checked that there is enough credit.
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

// Messages that were not sent yet are added up, so that they take no more memory while the backend does not read.
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

    /// Passes on what is to be sent for each sequence that still runs; it then counts as sent.
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
