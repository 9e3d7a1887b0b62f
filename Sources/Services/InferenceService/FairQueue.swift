internal import GRPC
internal import LinuxSystem

/// The requests that wait for the sequences of a model, and in which order they are served: by weighted fair queueing
/// between their callers (Goyal, Vin and Cheng, "Start-time Fair Queuing", 1996), and of each caller by priority, then
/// first come first served. Pure: its driver tells who begins and who has ended.
///
/// What is shared is the time for which sequences are held. Each caller has a virtual time: what it has used, divided by
/// its share and by the weight of the priority with which it asked. The request is next that would bring its caller to
/// the least virtual time. A turn is charged what turns took lately when it begins, and what it took when it has ended. A
/// caller that comes back starts where those are who are being served, or later where it has used more: it saves nothing
/// up. So a caller with a thousand waiting requests delays another one's first by one turn at most, every request is
/// served at some time, and a long turn costs more than a short one.
///
/// Every operation takes O(log n) steps, but for the insertion into the caller's own list, which moves memory, and for
/// those that say otherwise.
struct FairQueue<Request: QueuedRequest> {
    private struct Waiting {
        let request: Request
        let claim: QueueClaim
        let arrival: UInt64

        func isBefore(_ other: Waiting) -> Bool {
            claim.priority == other.claim.priority ? arrival < other.arrival : claim.priority > other.claim.priority
        }
    }

    private struct Account {
        /// Its virtual time.
        var used: UInt64
        /// In the order in which they are served.
        var waiting: [Waiting] = []
        var heldCount = 0

        var isIdle: Bool { waiting.isEmpty && heldCount == 0 }

        mutating func insert(_ new: Waiting) { waiting.insert(new, at: place(of: new)) }

        /// `old` is one of those that wait.
        mutating func remove(_ old: Waiting) { waiting.remove(at: place(of: old)) }

        /// The number of those before it.
        private func place(of sought: Waiting) -> Int {
            var (low, high) = (0, waiting.count)
            while low < high {
                let middle = (low + high) / 2
                if waiting[middle].isBefore(sought) { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    private struct Use {
        let claim: QueueClaim
        let since: Monotonic
        let charged: UInt64
    }

    private let limits: InferenceLimits
    /// Of those that wait, those that hold a sequence, and those that have used more than others while these are served.
    private var accounts: [CallerID: Account] = [:]
    /// Those that wait.
    private var heap = CallerHeap()
    private var uses: [ObjectIdentifier: Use] = [:]
    private var arrivals: [ObjectIdentifier: UInt64] = [:]
    private var arrivalCount: UInt64 = 0
    /// The virtual time at which the latest turn began.
    private var virtualTime: UInt64 = 0
    private var pace = TurnPace()
    /// The number of waiting requests that want to hear their place.
    private(set) var wantingPlaceCount = 0

    init(_ limits: InferenceLimits) { self.limits = limits }

    var count: Int { arrivals.count }

    var isEmpty: Bool { arrivals.isEmpty }

    /// The request that is served next.
    var first: Request? { heap.first.flatMap { accounts[$0]?.waiting.first?.request } }

    /// All that wait, in the order in which they are served if no other comes and none gives up. Takes O(n log n) steps.
    var inOrder: [Request] {
        var rest = self
        var requests: [Request] = []
        while let next = rest.first {
            requests.append(next)
            rest.takeOut(next)
            rest.charge(next.claim)
        }
        return requests
    }

    /// The number of callers whose use is remembered.
    var callerCount: Int { accounts.count }

    mutating func insert(_ request: Request) {
        let claim = request.claim
        arrivalCount += 1
        let new = Waiting(request: request, claim: claim, arrival: arrivalCount)
        arrivals[ObjectIdentifier(request)] = arrivalCount
        if claim.wantsPlace { wantingPlaceCount += 1 }
        catchUp(claim.caller)
        accounts[claim.caller]?.insert(new)
        rank(claim.caller)
    }

    /// The request gives up. Returns false if it does not wait.
    mutating func remove(_ request: Request) -> Bool {
        guard takeOut(request) else { return false }
        tidy(request.claim.caller)
        return true
    }

    /// The request has a sequence, or its first one, whether or not it waited.
    mutating func began(_ request: Request, at now: Monotonic) {
        let hasWaited = takeOut(request)
        guard uses[ObjectIdentifier(request)] == nil else { return }
        if !hasWaited { catchUp(request.claim.caller) }
        let charged = charge(request.claim)
        accounts[request.claim.caller]?.heldCount += 1
        uses[ObjectIdentifier(request)] = Use(claim: request.claim, since: now, charged: charged)
    }

    /// The request has no sequence any more; without effect if it had none.
    mutating func ended(_ request: Request, at now: Monotonic) {
        guard let use = uses.removeValue(forKey: ObjectIdentifier(request)) else { return }
        let took = min(now.since(use.since) / 1_000, limits.countedTurnMilliseconds * 1_000)
        pace.note(microseconds: took)
        let caller = use.claim.caller
        accounts[caller]?.used += use.claim.cost(microseconds: took)
        // It was added before, and is not forgotten while a sequence is held.
        accounts[caller]?.used -= use.charged
        accounts[caller]?.heldCount -= 1
        rank(caller)
        tidy(caller)
    }

    /// The time in which so many of the running turns end; nil: it is not known.
    func milliseconds(untilEnded count: Int) -> UInt64? {
        pace.milliseconds(untilEnded: count, running: uses.count)
    }

    /// The request that gives its place to one of this caller, if the queue is full: the last one of the caller that has
    /// the most, where that has at least two more than this caller. Takes as many steps as callers wait.
    func last(ofMoreThan caller: CallerID) -> Request? {
        let longest = accounts.values.max { $0.waiting.count < $1.waiting.count }
        guard let longest, longest.waiting.count >= (accounts[caller]?.waiting.count ?? 0) + 2 else { return nil }
        return longest.waiting.last?.request
    }
}

extension FairQueue {
    /// What turns took lately.
    private var expectedMicroseconds: UInt64 { max(pace.meanMicroseconds ?? 1_000_000, 1) }

    /// Nobody saves up what it does not use while others are served.
    private mutating func catchUp(_ caller: CallerID) {
        var account = accounts[caller] ?? Account(used: virtualTime)
        if account.waiting.isEmpty { account.used = max(account.used, virtualTime) }
        accounts[caller] = account
    }

    /// A turn with this claim begins. Returns what its caller was charged.
    @discardableResult
    private mutating func charge(_ claim: QueueClaim) -> UInt64 {
        let cost = claim.cost(microseconds: expectedMicroseconds)
        guard let used = accounts[claim.caller]?.used else { return cost }
        virtualTime = max(virtualTime, used)
        accounts[claim.caller]?.used = used + cost
        rank(claim.caller)
        return cost
    }

    /// Puts the caller where it belongs among those that wait.
    private mutating func rank(_ caller: CallerID) {
        guard let account = accounts[caller], let next = account.waiting.first else { return heap.remove(caller) }
        let finish = account.used + next.claim.cost(microseconds: expectedMicroseconds)
        heap.set(caller, CallerHeap.Rank(finish: finish, arrival: next.arrival))
    }

    @discardableResult
    private mutating func takeOut(_ request: Request) -> Bool {
        guard let arrival = arrivals.removeValue(forKey: ObjectIdentifier(request)) else { return false }
        let claim = request.claim
        if claim.wantsPlace { wantingPlaceCount -= 1 }
        let sought = Waiting(request: request, claim: claim, arrival: arrival)
        accounts[claim.caller]?.remove(sought)
        rank(claim.caller)
        return true
    }

    /// Forgets the caller if it is as any other that comes, and all once nobody waits or is served. If too many are
    /// remembered, those are forgotten that neither wait nor are served.
    private mutating func tidy(_ caller: CallerID) {
        if uses.isEmpty, arrivals.isEmpty {
            accounts = [:]
            virtualTime = 0
        } else if let account = accounts[caller], account.isIdle {
            if account.used <= virtualTime { accounts[caller] = nil }
            if accounts.count > limits.rememberedCallersMax { accounts = accounts.filter { !$0.value.isIdle } }
        }
    }
}
