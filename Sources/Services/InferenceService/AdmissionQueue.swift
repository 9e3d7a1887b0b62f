internal import LinuxSystem

/// Whether a model serves, or is going to.
enum AdmissionProspect: Equatable {
    /// It serves, or will by itself.
    case serves
    /// It will not serve until its owner does something.
    case unavailable
    case unknown
}

/// Why a request is not served.
enum AdmissionRefusal: Error, Equatable {
    case unknown, unavailable
    /// As many wait already as may wait. A request that comes after this time may find a place.
    case full(waiting: Int, retryAfterMilliseconds: UInt64)
}

/// The admission queue of one model, over all its processes: the turns that wait for a sequence, in the order that
/// `FairQueue` knows, and those that have one. A turn of several choices wants several, and the others wait until it has
/// them all. Pure: its driver (`ModelQueue`) begins the turns, reports the results, and does what it returns.
struct AdmissionQueue<Turn: QueuedRequest> {
    typealias Prospect = AdmissionProspect
    typealias Refusal = AdmissionRefusal

    private let limits: InferenceLimits
    private(set) var waiting: FairQueue<Turn>
    /// One of the running turns, which wants more sequences before the waiting ones get any.
    private(set) var begun: Turn?
    private(set) var running: [ObjectIdentifier: Turn] = [:]
    /// The number of those that were refused because the queue was full, since one left it.
    private var refusedCount = 0
    /// Whether places were told a moment ago, and whether they have changed since.
    private var hasAnnounced = false
    private var hasMoved = false
    /// Whether a timer runs that will look for turns that are not read.
    private var looksLater = false

    init(_ limits: InferenceLimits) {
        self.limits = limits
        waiting = FairQueue(limits)
    }

    /// The turn that is next for a free sequence.
    var next: Turn? { begun ?? waiting.first }

    /// The number of turns that want a sequence.
    var waitingCount: Int { waiting.count + (begun == nil ? 0 : 1) }

    /// Those that wait, in their order, and those that run.
    var all: [Turn] { waiting.inOrder + running.values }

    /// A request has come. Returns true if it is next, and begins if a sequence is free; false if others wait before
    /// it. Throws why it is refused.
    func admit(_ prospect: Prospect) throws(Refusal) -> Bool {
        if let refusal = Self.refusal(prospect) { throw refusal }
        return next == nil
    }

    /// No sequence is free for the turn, or others wait before it. Throws if it may not wait. In a full queue it takes the
    /// place of a turn of a caller that has more of them (`FairQueue.last`), which is returned, and is to be refused.
    mutating func wait(_ turn: Turn) throws(Refusal) -> (turn: Turn, refusal: Refusal)? {
        guard waiting.count >= limits.queuedRequestsMax else {
            waiting.insert(turn)
            return nil
        }
        let refusal = full()
        guard let last = waiting.last(ofMoreThan: turn.claim.caller) else { throw refusal }
        _ = waiting.remove(last)
        waiting.insert(turn)
        return (last, refusal)
    }

    /// The turn has a sequence, or has ended while it began. `wantsMore`: it is next for another one.
    mutating func began(_ turn: Turn, isOver: Bool, wantsMore: Bool = false, at now: Monotonic) {
        begun = wantsMore && !isOver ? turn : nil
        if isOver {
            _ = leave(turn)
        } else {
            if running[ObjectIdentifier(turn)] == nil { refusedCount = 0 }
            waiting.began(turn, at: now)
            running[ObjectIdentifier(turn)] = turn
        }
    }

    /// The turn runs since before it came to this queue, from another agent.
    mutating func goesOn(_ turn: Turn, at now: Monotonic) {
        waiting.began(turn, at: now)
        running[ObjectIdentifier(turn)] = turn
    }

    /// The turn has ended, for whatever reason. Returns true if it was waiting, so that those behind it have moved up.
    mutating func forget(_ turn: Turn, at now: Monotonic) -> Bool {
        running[ObjectIdentifier(turn)] = nil
        waiting.ended(turn, at: now)
        guard begun !== turn else {
            begun = nil
            return true
        }
        return leave(turn)
    }

    /// The process of the running turn was lost, so that what it wants comes with its return.
    mutating func interrupted(_ turn: Turn) {
        if begun === turn { begun = nil }
    }

    /// Takes out all turns that wait: their model does not serve any more.
    mutating func dismissAll() -> [Turn] {
        let turns = (begun.map { [$0] } ?? []) + waiting.inOrder
        begun = nil
        for turn in turns { _ = leave(turn) }
        return turns
    }

    /// Why no request is served of such a model; nil: it serves.
    static func refusal(_ prospect: Prospect) -> Refusal? {
        switch prospect {
        case .serves: nil
        case .unavailable: .unavailable
        case .unknown: .unknown
        }
    }

    private mutating func leave(_ turn: Turn) -> Bool {
        guard waiting.remove(turn) else { return false }
        refusedCount = 0
        return true
    }
}

// MARK: - Times

extension AdmissionQueue {
    /// How long a turn at this position waits, if turns go on to take what they took lately; nil: it is not known.
    func waitMilliseconds(position: Int) -> UInt64? { waiting.milliseconds(untilEnded: position + 1) }

    /// After what time a turn that waited in vain may come again: those that wait now are served then.
    var retryMilliseconds: UInt64 { retryMilliseconds(places: waitingCount + 1) }

    /// They come back one after the other, as places get free.
    private mutating func full() -> Refusal {
        refusedCount += 1
        return .full(waiting: waiting.count, retryAfterMilliseconds: retryMilliseconds(places: refusedCount))
    }

    private func retryMilliseconds(places: Int) -> UInt64 {
        let estimate = waiting.milliseconds(untilEnded: places) ?? 1_000
        return min(max(estimate, 100), limits.retryMillisecondsMax)
    }
}

// MARK: - Now and then

extension AdmissionQueue {
    /// Positions have changed. Returns true if they are to be announced now (`positions`), and `mayAnnounce` is to be called
    /// after `queuePositionMilliseconds`. They are not announced at each change, because with a thousand waiting that
    /// would be a thousand messages for every one that moves up.
    mutating func moved() -> Bool {
        guard waiting.wantingPlaceCount > 0 else { return false }
        hasMoved = hasAnnounced
        guard !hasAnnounced else { return false }
        hasAnnounced = true
        return true
    }

    /// Positions may be announced again. Returns as `moved`, which nobody has to call for what changed meanwhile.
    mutating func mayAnnounce() -> Bool {
        hasAnnounced = false
        return hasMoved && moved()
    }

    /// The waiting turns that want to be told their position.
    var positions: [(position: Int, turn: Turn)] {
        let before = begun == nil ? 0 : 1
        return waiting.inOrder.enumerated().map { ($0.offset + before, $0.element) }.filter { $0.turn.claim.wantsPlace }
    }

    /// Returns true if turns that are not read are to be looked for after `unreadCheckMilliseconds`, by `unread`; only
    /// while some wait.
    mutating func watch() -> Bool {
        guard !looksLater, !waiting.isEmpty else { return false }
        looksLater = true
        return true
    }

    /// A consumer that does not read may take its own time, but not that of others. Returns the running turns to be
    /// ended, which have stood still for too long, longest first and no more than wait; and those that are halfway
    /// there, whose consumer's library is to be asked what was read: a library may report only half of its window,
    /// which takes a slow reader longer than there is. `since` gives the time since which a turn stands still, or nil.
    mutating func unread(at now: Monotonic, since: (Turn) -> Monotonic?) -> (asked: [Turn], ended: [Turn]) {
        looksLater = false
        let still = running.values.compactMap { turn in since(turn).map { (turn: turn, since: $0) } }
            .sorted { $0.since < $1.since }
        let asked = still.prefix { $0.since.advanced(milliseconds: limits.unreadMilliseconds / 2) <= now }
        let ended = asked.prefix { $0.since.advanced(milliseconds: limits.unreadMilliseconds) <= now }
        return (asked.map(\.turn), ended.prefix(waiting.count).map(\.turn))
    }
}
