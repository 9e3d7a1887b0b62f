internal import BackendIPC

/// The running sequences of one backend process, by number: dense, so that a token's way is one index.
struct SequenceTable {
    private struct Slot {
        var handler: (any SequenceHandler)?
        var serial: UInt64 = 0
        /// Granted by the consumer's side, not told to the backend yet.
        var grant: UInt32 = 0
        var isCancelled = false
        /// It stands in `touched`.
        var isTouched = false
    }

    /// What the backend is to be told of one sequence.
    struct Pending {
        let number: UInt32
        let grant: UInt32
        let isCancelled: Bool
    }

    private var slots: [Slot]
    private var free: [UInt32]
    private var touched: [UInt32] = []

    init(capacity: UInt32) {
        slots = Array(repeating: Slot(), count: Int(capacity))
        free = (0..<capacity).reversed()
    }

    var running: Int { slots.count - free.count }
    var hasPending: Bool { !touched.isEmpty }

    /// Whether any sequence that runs is as asked.
    func contains(where isAsAsked: (_ number: UInt32) -> Bool) -> Bool {
        slots.indices.contains { slots[$0].handler != nil && isAsAsked(UInt32($0)) }
    }

    mutating func insert(_ handler: any SequenceHandler, serial: UInt64) -> SequenceID? {
        guard let number = free.popLast() else { return nil }
        let isTouched = slots[Int(number)].isTouched
        slots[Int(number)] = Slot(handler: handler, serial: serial, isTouched: isTouched)
        return SequenceID(number: number, serial: serial)
    }

    /// Whose tokens these are; the conversation has checked that the sequence runs.
    func handler(_ number: UInt32) -> (any SequenceHandler)? {
        Int(number) < slots.count ? slots[Int(number)].handler : nil
    }

    /// Ends a sequence and frees its number.
    mutating func remove(_ number: UInt32) -> (any SequenceHandler)? {
        guard Int(number) < slots.count, let handler = slots[Int(number)].handler else { return nil }
        slots[Int(number)].handler = nil
        slots[Int(number)].grant = 0
        free.append(number)
        return handler
    }

    /// Ends all of them.
    mutating func removeAll() -> [any SequenceHandler] {
        let handlers = slots.compactMap(\.handler)
        self = SequenceTable(capacity: UInt32(slots.count))
        return handlers
    }

    /// Grants are added up until the backend is told. False when the sequence has ended or was cancelled.
    mutating func grant(_ id: SequenceID, tokens: UInt32) -> Bool {
        guard tokens > 0, isRunning(id), !slots[Int(id.number)].isCancelled else { return false }
        let (sum, overflow) = slots[Int(id.number)].grant.addingReportingOverflow(tokens)
        slots[Int(id.number)].grant = overflow ? .max : sum
        touch(id.number)
        return true
    }

    /// False when the sequence has ended or was cancelled before.
    mutating func cancel(_ id: SequenceID) -> Bool {
        guard isRunning(id), !slots[Int(id.number)].isCancelled else { return false }
        slots[Int(id.number)].isCancelled = true
        touch(id.number)
        return true
    }

    /// What the backend was not told yet, of the sequences that still run.
    mutating func takePending() -> [Pending] {
        var pending: [Pending] = []
        pending.reserveCapacity(touched.count)
        for number in touched {
            let slot = slots[Int(number)]
            slots[Int(number)].isTouched = false
            slots[Int(number)].grant = 0
            if slot.handler != nil {
                pending.append(Pending(number: number, grant: slot.grant, isCancelled: slot.isCancelled))
            }
        }
        touched.removeAll(keepingCapacity: true)
        return pending
    }

    private func isRunning(_ id: SequenceID) -> Bool {
        Int(id.number) < slots.count && slots[Int(id.number)].handler != nil
            && slots[Int(id.number)].serial == id.serial
    }

    private mutating func touch(_ number: UInt32) {
        if slots[Int(number)].isTouched { return }
        slots[Int(number)].isTouched = true
        touched.append(number)
    }
}
