/// The turns of one model that were running when their process was lost, and that go on before any other begins. One that may
/// be what its processes fail at, a suspect, is tried first, and nothing else begins until it has shown that it does no harm.
/// Pure: its driver (`ModelQueue`) begins the turns, and reports what came of it.
struct ReturningTurns<Turn: AnyObject> {
    private struct Suspect {
        let turn: Turn
        let failures: Int
    }

    private var turns: [Turn] = []
    /// The one with the most failures first, so that the likeliest has its process to itself.
    private var suspects: [Suspect] = []
    /// All of both: thousands can be lost at once.
    private var members: Set<ObjectIdentifier> = []
    private(set) var onTrial: Turn?

    /// The turn that goes on next; nil: there is none, or one is on trial.
    var next: Turn? { onTrial == nil ? suspects.first?.turn ?? turns.first : nil }

    /// Whether any turn waits to go on.
    var areWaiting: Bool { !members.isEmpty }

    /// Whether no other turn may begin.
    var holdOthersBack: Bool { areWaiting || onTrial != nil }

    /// The process of the turn was lost. `failures`: how many of its processes have failed in a row, where it is a suspect;
    /// otherwise nil.
    mutating func interrupted(_ turn: Turn, failures: Int?) {
        _ = forget(turn)
        members.insert(ObjectIdentifier(turn))
        if let failures {
            let index = suspects.firstIndex { $0.failures < failures } ?? suspects.endIndex
            suspects.insert(Suspect(turn: turn, failures: failures), at: index)
        } else {
            turns.append(turn)
        }
    }

    /// The turn `next` has got a sequence. `wantsMore`: it waits for another one.
    mutating func began(_ turn: Turn, wantsMore: Bool) {
        if suspects.first?.turn === turn {
            suspects.removeFirst()
            onTrial = turn
            // What else it wants comes after its trial.
            if wantsMore { turns.insert(turn, at: 0) }
        } else if !wantsMore {
            turns.removeFirst()
        }
        if !wantsMore { members.remove(ObjectIdentifier(turn)) }
    }

    /// The turn on trial has shown that it does no harm.
    mutating func trialEnded() { onTrial = nil }

    /// The turn has ended. Returns whether the next one may go on for that reason.
    mutating func forget(_ turn: Turn) -> Bool {
        if members.remove(ObjectIdentifier(turn)) != nil {
            turns.removeAll { $0 === turn }
            suspects.removeAll { $0.turn === turn }
        }
        guard onTrial === turn else { return false }
        onTrial = nil
        return true
    }

    /// Takes out all turns that wait to go on: their model cannot be loaded.
    mutating func dismissAll() -> [Turn] {
        defer {
            turns = []
            suspects = []
            members = []
        }
        return suspects.map(\.turn) + turns
    }
}
