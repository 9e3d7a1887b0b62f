internal import LinuxSystem

/// The handlers, timers and unfinished work of the loop; owned by the loop's thread.
struct LoopState {
    /// A place in the table of handlers; its generation tells a late event from one for the place's next owner.
    private struct Slot {
        var handler: (any ReadinessHandler)?
        var generation: UInt32 = 0
    }

    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    /// A binary heap ordered by moment; a cancelled timer stays until it comes up, without its action.
    private var timers: [Timer] = []
    private var actions: [UInt64: @IOLoop () -> Void] = [:]
    private var nextTimer: UInt64 = 0
    /// The first timer, once it was found not to be cancelled, so that it is looked up once and not in every turn.
    private var liveTimer: UInt64?
    var turnEndHandlers = Queue<any TurnEndHandler>()
    /// The unfinished work of the owner, which goes before all other.
    var firstBacklog: Backlog<any UnfinishedWork>
    var backlog: Backlog<any UnfinishedWork>

    init(_ limits: LoopLimits) {
        firstBacklog = Backlog(limits)
        backlog = Backlog(limits)
    }

    /// Whether there is work for the next turn even without an event.
    var isBusy: Bool { !turnEndHandlers.isEmpty || !firstBacklog.isEmpty || !backlog.isEmpty }

    mutating func insert(_ handler: any ReadinessHandler) -> UInt64 {
        let index: Int
        if let free = freeSlots.popLast() {
            index = free
        } else {
            index = slots.count
            slots.append(Slot())
        }
        slots[index].handler = handler
        return UInt64(slots[index].generation) << 32 | UInt64(index)
    }

    mutating func remove(tag: UInt64) {
        let index = Int(tag & 0xffff_ffff)
        guard slots[index].generation == UInt32(tag >> 32) else { return }
        slots[index].handler = nil
        slots[index].generation &+= 1
        freeSlots.append(index)
    }

    func handler(tag: UInt64) -> (any ReadinessHandler)? {
        let slot = slots[Int(tag & 0xffff_ffff)]
        return slot.generation == UInt32(tag >> 32) ? slot.handler : nil
    }
}

extension LoopState {
    var hasTimers: Bool { !timers.isEmpty }

    mutating func addTimer(at moment: Monotonic, _ action: @escaping @IOLoop () -> Void) -> Timer {
        let timer = Timer(id: nextTimer, moment: moment)
        nextTimer += 1
        actions[timer.id] = action
        timers.append(timer)
        siftUp(timers.count - 1)
        return timer
    }

    mutating func cancel(_ timer: Timer) {
        guard actions.removeValue(forKey: timer.id) != nil else { return }
        if liveTimer == timer.id { liveTimer = nil }
        // Cancelled timers must not pile up: a deadline an hour away is set and cancelled a thousand times a second.
        if timers.count > 64, actions.count * 2 < timers.count {
            timers = timers.filter { actions[$0.id] != nil }.sorted { $0.moment < $1.moment }
        }
    }

    /// How long to wait for the next timer: -1 for ever, otherwise rounded up, so that no turn comes too early.
    mutating func timeoutMilliseconds(at now: Monotonic) -> CInt {
        while let first = timers.first, first.id != liveTimer, actions[first.id] == nil { removeFirst() }
        guard let first = timers.first else { return -1 }
        liveTimer = first.id
        let nanoseconds = first.moment.since(now)
        return CInt(min(nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1), 3_600_000))
    }

    mutating func takeDueTimer(at now: Monotonic) -> (@IOLoop () -> Void)? {
        while let first = timers.first, first.moment <= now {
            removeFirst()
            if let action = actions.removeValue(forKey: first.id) { return action }
        }
        return nil
    }

    private mutating func removeFirst() {
        timers.swapAt(0, timers.count - 1)
        timers.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < timers.count {
                if timers[child].moment < timers[least].moment { least = child }
            }
            if least == parent { return }
            timers.swapAt(parent, least)
            parent = least
        }
    }

    private mutating func siftUp(_ from: Int) {
        var child = from
        while child > 0, timers[child].moment < timers[(child - 1) / 2].moment {
            timers.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }
}
