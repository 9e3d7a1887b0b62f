internal import EventLoop

/// The queue of TLS handshakes: callers take turns, and the handshakes of one caller go on in the order in which they
/// came. Pure; each operation takes constant time.
struct HandshakeLine<Waiter> {
    /// A place in the queue.
    struct Ticket {
        fileprivate let caller: CallerID
        fileprivate let ticket: WaitingLine<Waiter>.Ticket
    }

    private var waiting: [CallerID: WaitingLine<Waiter>] = [:]
    /// Callers that have a handshake waiting, except parked ones.
    private var order = Queue<CallerID>()
    private var parked: Set<CallerID> = []

    /// Whether a handshake may go on, unless its caller has to be parked.
    var hasNext: Bool { !order.isEmpty }

    mutating func append(_ waiter: Waiter, of caller: CallerID) -> Ticket {
        if waiting[caller] == nil, !parked.contains(caller) { order.append(caller) }
        return Ticket(caller: caller, ticket: waiting[caller, default: WaitingLine()].append(waiter))
    }

    /// Does nothing for a ticket that waits no more.
    mutating func remove(_ ticket: Ticket) { waiting[ticket.caller]?.remove(ticket.ticket) }

    /// The caller whose turn it is. It must then be parked, or `popFirst` called for it.
    mutating func nextCaller() -> CallerID? {
        while let caller = order.popFirst() {
            if waiting[caller]?.isEmpty == false { return caller }
            // All its waiting handshakes were removed.
            waiting[caller] = nil
        }
        return nil
    }

    /// The handshake of a caller that has waited for longest; the caller's next one goes on after those of all others.
    mutating func popFirst(of caller: CallerID) -> Waiter? {
        let first = waiting[caller]?.popFirst()
        if waiting[caller]?.isEmpty == false { order.append(caller) } else { waiting[caller] = nil }
        return first
    }

    /// Holds this caller's handshakes until `unpark`.
    mutating func park(_ caller: CallerID) { parked.insert(caller) }

    mutating func unpark(_ caller: CallerID) {
        guard parked.remove(caller) != nil, waiting[caller] != nil else { return }
        order.append(caller)
    }
}
