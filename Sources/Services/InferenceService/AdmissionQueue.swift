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
    /// As many wait already as may wait.
    case full(waiting: Int)
}

/// The admission queue of one model: the turns that wait for a sequence, first come first served, and those that have
/// one. A turn of several choices wants several, and those behind it wait until it has them all. Pure: its driver (`ModelQueue`) begins the turns, reports the results, and does what it returns.
struct AdmissionQueue<Turn: AnyObject> {
    typealias Prospect = AdmissionProspect
    typealias Refusal = AdmissionRefusal

    private let limits: InferenceLimits
    private(set) var waiting: [Turn] = []
    /// One of the running turns, which wants more sequences before the waiting ones get any.
    private(set) var begun: Turn?
    private(set) var running: [ObjectIdentifier: Turn] = [:]
    /// Whether a timer runs that will announce positions, or look for turns that are not read.
    private var announcesLater = false
    private var looksLater = false

    init(_ limits: InferenceLimits) { self.limits = limits }

    /// The turn that is next for a free sequence.
    var next: Turn? { begun ?? waiting.first }

    /// The number of turns that want a sequence.
    var waitingCount: Int { waiting.count + (begun == nil ? 0 : 1) }

    /// Those that wait, in their order, and those that run.
    var all: [Turn] { waiting + running.values }

    /// A request has come. Returns true if it is next, and begins if a sequence is free; false if others wait before
    /// it. Throws why it is refused.
    func admit(_ prospect: Prospect) throws(Refusal) -> Bool {
        if let refusal = Self.refusal(prospect) { throw refusal }
        return next == nil
    }

    /// No sequence is free for the turn, or others wait before it. Returns its position; throws if it may not wait.
    mutating func wait(_ turn: Turn) throws(Refusal) -> Int {
        guard waiting.count < limits.queuedRequestsMax else { throw .full(waiting: waiting.count) }
        waiting.append(turn)
        return waitingCount - 1
    }

    /// The turn has a sequence, or has ended while it began. `wantsMore`: it is next for another one.
    mutating func began(_ turn: Turn, isOver: Bool, wantsMore: Bool = false) {
        _ = leave(turn)
        begun = wantsMore && !isOver ? turn : nil
        if !isOver { running[ObjectIdentifier(turn)] = turn }
    }

    /// The turn has ended, for whatever reason. Returns true if it was waiting, so that those behind it have moved up.
    mutating func forget(_ turn: Turn) -> Bool {
        running[ObjectIdentifier(turn)] = nil
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

    /// Takes out all turns of a model that does not serve any more and wait, with the refusal that they are told.
    mutating func dismiss(_ prospect: Prospect) -> (turns: [Turn], refusal: Refusal)? {
        guard let refusal = Self.refusal(prospect), next != nil else { return nil }
        return (dismissAll(), refusal)
    }

    /// Takes out all turns that wait: their model cannot be loaded.
    mutating func dismissAll() -> [Turn] {
        defer {
            begun = nil
            waiting = []
        }
        return (begun.map { [$0] } ?? []) + waiting
    }

    static func refusal(_ prospect: Prospect) -> Refusal? {
        switch prospect {
        case .serves: nil
        case .unavailable: .unavailable
        case .unknown: .unknown
        }
    }

    private mutating func leave(_ turn: Turn) -> Bool {
        guard let index = waiting.firstIndex(where: { $0 === turn }) else { return false }
        waiting.remove(at: index)
        return true
    }
}

// MARK: - Now and then

extension AdmissionQueue {
    /// Positions have changed. Returns true if they are to be announced after `queuePositionMilliseconds`, by
    /// `announce`. They are not announced at each change, because with a thousand waiting that would be a thousand
    /// messages for every one that moves up.
    mutating func moved() -> Bool {
        guard !announcesLater, !waiting.isEmpty else { return false }
        announcesLater = true
        return true
    }

    /// The turns that are to be told their position.
    mutating func announce() -> [(position: Int, turn: Turn)] {
        announcesLater = false
        let before = begun == nil ? 0 : 1
        return waiting.enumerated().map { ($0.offset + before, $0.element) }
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
