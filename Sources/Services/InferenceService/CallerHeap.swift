internal import GRPC

/// Callers by rank, the first one at hand; each is in it once. A binary heap that knows each caller's place, so that every
/// change takes O(log n). Pure.
struct CallerHeap {
    struct Rank: Comparable {
        /// The virtual time at which the caller's next request would be served in full.
        let finish: UInt64
        /// Of those that finish at the same time, the one that came first.
        let arrival: UInt64

        static func < (one: Rank, other: Rank) -> Bool {
            (one.finish, one.arrival) < (other.finish, other.arrival)
        }
    }

    private var entries: [(rank: Rank, caller: CallerID)] = []
    private var places: [CallerID: Int] = [:]

    var first: CallerID? { entries.first?.caller }

    /// Adds the caller, or gives it another rank.
    mutating func set(_ caller: CallerID, _ rank: Rank) {
        if let place = places[caller] {
            entries[place].rank = rank
            settle(place)
        } else {
            places[caller] = entries.count
            entries.append((rank, caller))
            settle(entries.count - 1)
        }
    }

    mutating func remove(_ caller: CallerID) {
        guard let place = places[caller] else { return }
        swap(place, entries.count - 1)
        entries.removeLast()
        places[caller] = nil
        if place < entries.count { settle(place) }
    }

    /// Moves the entry up or down to where it belongs.
    private mutating func settle(_ place: Int) {
        var place = place
        while place > 0, entries[place].rank < entries[(place - 1) / 2].rank {
            swap(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
        while 2 * place + 1 < entries.count {
            var child = 2 * place + 1
            if child + 1 < entries.count, entries[child + 1].rank < entries[child].rank { child += 1 }
            guard entries[child].rank < entries[place].rank else { return }
            swap(place, child)
            place = child
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        entries.swapAt(one, other)
        places[entries[one].caller] = one
        places[entries[other].caller] = other
    }
}
