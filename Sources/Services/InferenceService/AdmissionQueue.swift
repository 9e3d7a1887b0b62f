internal import LinuxSystem

/// Admission to one model: who waits for a sequence, first come first served, and who has one. Pure: its driver
/// (`ModelQueue`) begins the turns, tells it what became of that, and does what it returns.
struct AdmissionQueue<Turn: AnyObject> {
    /// What can be expected of a model.
    enum Prospect: Equatable {
        /// It serves, or will without anybody's doing.
        case serves
        /// It will not until its owner does something.
        case unavailable
        case unknown
    }

    /// Why a request is not served.
    enum Refusal: Error, Equatable {
        case unknown, unavailable
        /// So many wait already.
        case full(waiting: Int)
    }

    private let limits: InferenceLimits
    private(set) var waiting: [Turn] = []
    private(set) var running: [ObjectIdentifier: Turn] = [:]
    /// A timer runs that will announce positions, or look for turns that are not read.
    private var announcesLater = false
    private var looksLater = false

    init(_ limits: InferenceLimits) { self.limits = limits }

    /// Whose turn it is.
    var next: Turn? { waiting.first }

    /// A request has come. True: it is its turn, and it begins if a sequence is free. False: others wait before it. Throws
    /// why it is refused.
    func admit(_ prospect: Prospect) throws(Refusal) -> Bool {
        if let refusal = Self.refusal(prospect) { throw refusal }
        return waiting.isEmpty
    }

    /// No sequence is free for it, or others wait before it. Returns its position; throws that it may not wait.
    mutating func wait(_ turn: Turn) throws(Refusal) -> Int {
        guard waiting.count < limits.queuedRequestsMax else { throw .full(waiting: waiting.count) }
        waiting.append(turn)
        return waiting.count - 1
    }

    /// It has a sequence, or is over by beginning.
    mutating func began(_ turn: Turn, isOver: Bool) {
        _ = leave(turn)
        if !isOver { running[ObjectIdentifier(turn)] = turn }
    }

    /// It is over, however it ended. True: it was waiting, and those behind it have moved up.
    mutating func forget(_ turn: Turn) -> Bool {
        running[ObjectIdentifier(turn)] = nil
        return leave(turn)
    }

    /// A model that does not serve any more has nothing to wait for: takes out all who do, with what they are told.
    mutating func dismiss(_ prospect: Prospect) -> (turns: [Turn], refusal: Refusal)? {
        guard let refusal = Self.refusal(prospect), !waiting.isEmpty else { return nil }
        return (dismissAll(), refusal)
    }

    /// Takes out all who wait: their model cannot be loaded.
    mutating func dismissAll() -> [Turn] {
        defer { waiting = [] }
        return waiting
    }

    private static func refusal(_ prospect: Prospect) -> Refusal? {
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
    /// Positions have changed. True: they are to be announced after `queuePositionMilliseconds`, by `announce`: not at
    /// each change, for with a thousand waiting that would be a thousand messages for every one that moves up.
    mutating func moved() -> Bool {
        guard !announcesLater, !waiting.isEmpty else { return false }
        announcesLater = true
        return true
    }

    /// Who is to be told its place, which is its index.
    mutating func announce() -> [Turn] {
        announcesLater = false
        return waiting
    }

    /// True: turns that are not read are to be looked for after `unreadCheckMilliseconds`, by `unread`; only while some wait.
    mutating func watch() -> Bool {
        guard !looksLater, !waiting.isEmpty else { return false }
        looksLater = true
        return true
    }

    /// A consumer that does not read may take its time, but not from others: of the turns that run, those are to be ended
    /// that have stood still for too long, the stillest first, no more of them than wait. Halfway there the consumer's
    /// library is to be asked: it may tell only of what fills half of its window, which takes a slow reader longer than there
    /// is. `since` says since when a turn stands still, if it does.
    mutating func unread(at now: Monotonic, since: (Turn) -> Monotonic?) -> (asked: [Turn], ended: [Turn]) {
        looksLater = false
        let still = running.values.compactMap { turn in since(turn).map { (turn: turn, since: $0) } }
            .sorted { $0.since < $1.since }
        let asked = still.prefix { $0.since.advanced(milliseconds: limits.unreadMilliseconds / 2) <= now }
        let ended = asked.prefix { $0.since.advanced(milliseconds: limits.unreadMilliseconds) <= now }
        return (asked.map(\.turn), ended.prefix(waiting.count).map(\.turn))
    }
}
