internal import HTTP2Connection
package import LinuxSystem

/// What each caller may still cost the loop, in steps (`WorkSteps`). Pure.
///
/// A caller whose allowance is full needs no entry, so the table holds only recently active callers: at most
/// `callersMax` without a key or certificate, and as many with one. No entry with a debt is given up for a new one.
/// Once the table is full, callers that are not in it share an account with their neighbourhood, so that an attacker
/// with a million addresses slows down only its neighbours. Every operation examines a few entries at most, however
/// many there are.
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

    /// Charges work to a caller, whether or not it had steps left: new steps pay a debt first.
    package mutating func charge(_ steps: Int, to caller: CallerID, at now: Monotonic) {
        withAllowance(of: caller, isNeeded: true, at: now) { $0.charge(steps, at: now) }
    }

    /// The steps that a caller may use now; 0: its new work waits. Work that has begun may use more.
    package mutating func stepsLeft(of caller: CallerID, at now: Monotonic) -> Int {
        withAllowance(of: caller, isNeeded: false, at: now) { $0.left(at: now) }
    }

    /// The time until the caller has a step again; 0: it has one now.
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
        /// The number of accounts for neighbourhoods; a hash that differs in each process chooses the account.
        private static let sharedCount = 256
        /// The number of entries examined when one is added, to remove those that are no longer needed: more are
        /// removed than added.
        private static let lookedAtMax = 4

        let entriesMax: Int
        /// In no order.
        private(set) var entries: [Entry] = []
        private var places: [CallerID: Int] = [:]
        /// The next entry to examine.
        private var hand = 0
        /// Empty until the table has been full.
        private var shared: [Allowance] = []

        init(entriesMax: Int) { self.entriesMax = max(entriesMax, 1) }

        /// `isNeeded`: the change of the allowance must be remembered.
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
