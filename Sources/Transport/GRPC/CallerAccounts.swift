internal import HTTP2Connection
package import LinuxSystem

/// What each caller may still cost the loop, in steps (`WorkSteps`). Pure.
///
/// A caller whose allowance is full needs no entry, so the table holds those only that have done something of late, and
/// never more than `callersMax` of them that nobody vouches for and as many of the others. No entry with a debt is given up
/// for a new one: once the table is full, callers that are not in it share an account with their neighbourhood, so that
/// whoever has a million addresses spoils it for those near to him and for nobody else. Every operation looks at a few
/// entries at most, however many there are.
package struct CallerAccounts: Sendable {
    private let fullAllowance: Allowance
    private var named: Table
    private var unnamed: Table

    /// `stepsPerSecondMax`: of one caller in the long run. `stepsAtOnceMax`: after a rest.
    package init(stepsPerSecondMax: Int, stepsAtOnceMax: Int, callersMax: Int) {
        fullAllowance = Allowance(atOnce: stepsAtOnceMax, perSecond: stepsPerSecondMax)
        named = Table(entriesMax: callersMax)
        unnamed = named
    }

    /// Callers whose allowance is not known to be full.
    package var count: Int { named.entries.count + unnamed.entries.count }

    /// Counts work that was done for a caller, whether or not it had steps left: a debt is made up for first.
    package mutating func charge(_ steps: Int, to caller: CallerID, at now: Monotonic) {
        withAllowance(of: caller, isNeeded: true, at: now) { $0.charge(steps, at: now) }
    }

    /// Steps that a caller may cost now; 0: its new work waits. Work that has begun may go beyond it.
    package mutating func stepsLeft(of caller: CallerID, at now: Monotonic) -> Int {
        withAllowance(of: caller, isNeeded: false, at: now) { $0.left(at: now) }
    }

    /// When there is a step again; 0: now.
    package mutating func millisecondsUntilSteps(of caller: CallerID, at now: Monotonic) -> UInt64 {
        withAllowance(of: caller, isNeeded: false, at: now) { $0.millisecondsUntilOne(at: now) ?? .max }
    }

    private mutating func withAllowance<Result>(
        of caller: CallerID, isNeeded: Bool, at now: Monotonic, _ body: (inout Allowance) -> Result
    ) -> Result {
        caller.isNamed
            ? named.withAllowance(of: caller, isNeeded: isNeeded, full: fullAllowance, at: now, body)
            : unnamed.withAllowance(of: caller, isNeeded: isNeeded, full: fullAllowance, at: now, body)
    }
}

extension CallerAccounts {
    private struct Entry: Sendable {
        let caller: CallerID
        var allowance: Allowance
    }

    private struct Table: Sendable {
        /// Accounts of neighbourhoods, which are chosen with a hash that is another one in each process.
        private static let sharedCount = 256
        /// Entries that a new one looks at, to take out those that are not needed any more: more come out than go in.
        private static let lookedAtMax = 4

        let entriesMax: Int
        /// In no order.
        private(set) var entries: [Entry] = []
        private var places: [CallerID: Int] = [:]
        /// The next entry to be looked at.
        private var hand = 0
        /// Empty until the table has been full.
        private var shared: [Allowance] = []

        init(entriesMax: Int) { self.entriesMax = max(entriesMax, 1) }

        /// `isNeeded`: what is done to the allowance is to be remembered.
        mutating func withAllowance<Result>(
            of caller: CallerID, isNeeded: Bool, full: Allowance, at now: Monotonic,
            _ body: (inout Allowance) -> Result
        ) -> Result {
            if let place = places[caller] { return body(&entries[place].allowance) }
            takeOutFull(at: now)
            if entries.count < entriesMax {
                var allowance = full
                let result = body(&allowance)
                if isNeeded {
                    places[caller] = entries.count
                    entries.append(Entry(caller: caller, allowance: allowance))
                }
                return result
            }
            if shared.isEmpty { shared = [Allowance](repeating: full, count: Self.sharedCount) }
            var hasher = Hasher()
            hasher.combine(caller.kind)
            hasher.combine(caller.neighbourhood)
            return body(&shared[Int(UInt(bitPattern: hasher.finalize()) % UInt(Self.sharedCount))])
        }

        private mutating func takeOutFull(at now: Monotonic) {
            for _ in 0..<min(Self.lookedAtMax, entries.count) {
                if hand >= entries.count { hand = 0 }
                guard entries[hand].allowance.isFull(at: now) else {
                    hand += 1
                    continue
                }
                places[entries[hand].caller] = nil
                let last = entries.removeLast()
                guard hand < entries.count else { continue }
                entries[hand] = last
                places[last.caller] = hand
            }
        }
    }
}
