internal import EventLoop

/// Whose TLS handshake goes on next: callers take turns, and each one's handshakes go on in the order in which they came.
/// Pure; each step costs the same however many wait.
struct HandshakeLine<Waiter> {
    /// A place in the line.
    struct Ticket {
        fileprivate let caller: CallerID
        fileprivate let ticket: WaitingLine<Waiter>.Ticket
    }

    private var waiting: [CallerID: WaitingLine<Waiter>] = [:]
    /// Callers for whom somebody waits, but for those that are parked.
    private var order = Queue<CallerID>()
    private var parked: Set<CallerID> = []

    /// Somebody may go on, unless its caller has to be parked.
    var hasNext: Bool { !order.isEmpty }

    mutating func append(_ waiter: Waiter, of caller: CallerID) -> Ticket {
        if waiting[caller] == nil, !parked.contains(caller) { order.append(caller) }
        return Ticket(caller: caller, ticket: waiting[caller, default: WaitingLine()].append(waiter))
    }

    /// Does nothing for who waits no more.
    mutating func remove(_ ticket: Ticket) { waiting[ticket.caller]?.remove(ticket.ticket) }

    /// The caller whose turn it is. It must then be parked, or `popFirst` called for it.
    mutating func nextCaller() -> CallerID? {
        while let caller = order.popFirst() {
            if waiting[caller]?.isEmpty == false { return caller }
            // All that waited for it have left.
            waiting[caller] = nil
        }
        return nil
    }

    /// Who has waited for longest for a caller; the caller's next one goes on after those of all others.
    mutating func popFirst(of caller: CallerID) -> Waiter? {
        let first = waiting[caller]?.popFirst()
        if waiting[caller]?.isEmpty == false { order.append(caller) } else { waiting[caller] = nil }
        return first
    }

    /// Nobody goes on for this caller until `unpark`.
    mutating func park(_ caller: CallerID) { parked.insert(caller) }

    mutating func unpark(_ caller: CallerID) {
        guard parked.remove(caller) != nil, waiting[caller] != nil else { return }
        order.append(caller)
    }
}
