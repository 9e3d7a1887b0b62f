/// The room of the sequences in the cells of one cache that they share, each cell for one token: which sequences may compute,
/// and which gives way where cells are lacking. Who came earlier comes first: a sequence has room where those before it leave
/// enough, and whoever came later gives way to it. So the first always goes on, and two that want the same cells resolve.
///
/// Numbers of cells are estimates: several sequences may hold one cell for the beginning that they share, and some models
/// keep more or less than a cell for each token. What is lacking shows when a batch finds no cells.
package enum CacheRoom {
    /// A sequence that has begun.
    package struct Member: Equatable, Sendable {
        package var sequence: Int
        /// Order of arrival.
        package var arrival: UInt64
        /// The cells that it takes once all its tokens are computed, without those that it shares with another.
        package var cells: Int
        /// Whether it holds any cells.
        package var isHolding: Bool
        /// Whether it may compute: it was given room.
        package var hasRoom: Bool
        /// Whether it has credit.
        package var isRunnable: Bool
        /// It gave way, and no sequence has ended since: it is given room only where nothing else computes.
        package var awaitsEnd: Bool

        package init(
            sequence: Int, arrival: UInt64, cells: Int, isHolding: Bool, hasRoom: Bool, isRunnable: Bool,
            awaitsEnd: Bool
        ) {
            self.sequence = sequence
            self.arrival = arrival
            self.cells = cells
            self.isHolding = isHolding
            self.hasRoom = hasRoom
            self.isRunnable = isRunnable
            self.awaitsEnd = awaitsEnd
        }
    }

    /// The sequences without room that are given it now, of a cache with so many cells. Contents of idle caches do not
    /// count: they give way first.
    package static func admitted(_ members: [Member], cells: Int) -> [Int] {
        guard members.contains(where: { $0.isRunnable && !$0.hasRoom }) else { return [] }
        var admitted: [Int] = []
        // The next token of each needs a cell, too.
        var taken = 0
        var isAnyComputing = members.contains { $0.hasRoom && $0.isRunnable }
        for member in members.sorted(by: { $0.arrival < $1.arrival }) {
            if !member.hasRoom {
                guard member.isRunnable else { continue }
                let fits = !member.awaitsEnd && taken + member.cells < cells
                guard fits || !isAnyComputing else { continue }
                isAnyComputing = true
                admitted.append(member.sequence)
            }
            taken += member.cells + 1
        }
        return admitted
    }

    /// The sequence that gives way because a batch found no cells; nil when only one computes, which then has all of them.
    /// First those that do not compute, then those that do, and of these the last that came.
    package static func givingWay(_ members: [Member]) -> Int? {
        func last(_ some: [Member]) -> Int? { some.max { $0.arrival < $1.arrival }?.sequence }
        if let waiting = last(members.filter { $0.isHolding && !$0.hasRoom }) { return waiting }
        if let stalled = last(members.filter { $0.isHolding && !$0.isRunnable }) { return stalled }
        let computing = members.filter { $0.hasRoom && $0.isRunnable }
        return computing.count > 1 ? last(computing) : nil
    }
}
