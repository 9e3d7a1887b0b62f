/// Work that was cut short and waits for a later turn: decides who goes on next, and for how long. Pure.
///
/// Whoever the work is done for is its source. Sources take turns, and so does the work of each of them: a thousand pieces
/// of one source get together what one piece of another gets. A turn of the loop is `beginTurn`, then `next` and `used` by
/// turns until `next` gives nil.
struct Backlog<Work> {
    private let stepsPerTurnMax: Int
    private let stepsAtOnceMin: Int
    private var waiting: [AnyHashable: Queue<Work>] = [:]
    /// The sources that have work, in the order in which they go on.
    private var order = Queue<AnyHashable>()
    private(set) var count = 0

    // Of the turn that is under way.
    private var stepsLeft = 0
    private var stepsAtOnce = 0
    /// As many as there was work when the turn began, so that work which is put back at once does not make it longer.
    private var goesLeft = 0

    init(_ limits: LoopLimits) {
        stepsPerTurnMax = limits.unfinishedStepsPerTurnMax
        stepsAtOnceMin = limits.unfinishedStepsAtOnceMin
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ work: Work, of source: AnyHashable) {
        count += 1
        if waiting[source] == nil { order.append(source) }
        waiting[source, default: Queue()].append(work)
    }

    mutating func beginTurn() {
        stepsLeft = stepsPerTurnMax
        goesLeft = count
        // Few get more at once, for that is cheaper.
        stepsAtOnce = max(stepsPerTurnMax / max(count, 1), stepsAtOnceMin)
    }

    /// Who goes on, for about how many steps; nil when the turn's steps are used, or nobody has still to go on in it.
    mutating func next() -> (work: Work, steps: Int)? {
        guard goesLeft > 0, stepsLeft > 0, let source = order.popFirst(), let work = waiting[source]?.popFirst() else {
            return nil
        }
        goesLeft -= 1
        count -= 1
        if waiting[source]?.isEmpty == true { waiting[source] = nil } else { order.append(source) }
        return (work, stepsAtOnce)
    }

    /// What the last one used. One that had nothing to do costs something, too.
    mutating func used(_ steps: Int) { stepsLeft -= max(steps, Self.stepsOfGoingOn) }

    private static var stepsOfGoingOn: Int { 10 }
}
