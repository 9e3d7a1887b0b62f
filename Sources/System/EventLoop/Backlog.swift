/// The unfinished work that waits for a later turn of the loop: decides which work goes on next, and for how long.
/// Pure.
///
/// Each piece of work has a source, the caller that it is done for. Sources take turns, and so do the pieces of one
/// source: a thousand pieces of one source get together what one piece of another gets. A turn of the loop is
/// `beginTurn`, then `next` and `used` alternately until `next` gives nil.
struct Backlog<Work> {
    private let stepsPerTurnMax: Int
    private let stepsAtOnceMin: Int
    private var waiting: [AnyHashable: Queue<Work>] = [:]
    /// The sources that have work, in the order in which they go on.
    private var order = Queue<AnyHashable>()
    private(set) var count = 0

    // The state of the current turn.
    private var stepsLeft = 0
    private var stepsAtOnce = 0
    /// The pieces of work that may still go on in this turn: as many as there were when it began, so that work which is
    /// put back at once does not make the turn longer.
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
        // With few pieces each gets more at once, which is cheaper.
        stepsAtOnce = max(stepsPerTurnMax / max(count, 1), stepsAtOnceMin)
    }

    /// The work that goes on next, for about that many steps; nil when the turn's steps are used, or no work is left
    /// for this turn.
    mutating func next() -> (work: Work, steps: Int)? {
        guard goesLeft > 0, stepsLeft > 0, let source = order.popFirst(), let work = waiting[source]?.popFirst() else {
            return nil
        }
        goesLeft -= 1
        count -= 1
        if waiting[source]?.isEmpty == true { waiting[source] = nil } else { order.append(source) }
        return (work, stepsAtOnce)
    }

    /// Counts the steps that the last piece used; a piece that had nothing to do has a cost, too.
    mutating func used(_ steps: Int) { stepsLeft -= max(steps, Self.stepsOfGoingOn) }

    private static var stepsOfGoingOn: Int { 10 }
}
