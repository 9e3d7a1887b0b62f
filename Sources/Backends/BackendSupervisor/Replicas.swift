internal import LinuxSystem

/// The processes of one model as they stand at one moment: which of them serves a request, and which is loaded next.
/// Pure.
struct Replicas: Equatable, Sendable {
    enum Standing: Equatable, Sendable {
        /// It takes requests, so many more at once.
        case ready(free: Int)
        /// It will be ready by itself.
        case loading
        /// What runs on it ends; then it is loaded anew.
        case draining
        /// A request loads it.
        case unloaded
        /// It will not be ready until its owner does something.
        case unavailable
    }

    /// By the numbers of the processes; at least one.
    let standings: [Standing]

    /// What a consumer of the model can expect: the best that one of them offers.
    var state: ServedModel.State {
        switch standings[representative] {
        case .ready: .ready
        case .loading, .draining: .loading
        case .unloaded: .unloaded
        case .unavailable: .unavailable
        }
    }

    /// The index of the one that speaks for the model: the first of those that stand best.
    var representative: Int {
        func rank(_ standing: Standing) -> Int {
            switch standing {
            case .ready: 0
            case .loading: 1
            case .unloaded: 2
            case .draining: 3
            case .unavailable: 4
            }
        }
        return standings.indices.min { rank(standings[$0]) < rank(standings[$1]) } ?? 0
    }

    /// The index of the one that a request begins on; nil: none has a free sequence.
    /// - Parameters:
    ///   - lastServed: when one last served the cache scope of the request; nil where it has not.
    ///   - isYielding: another model waits for memory, so only the first that is ready takes new requests.
    func serving(isYielding: Bool = false, lastServed: (Int) -> Monotonic?) -> Int? {
        var best: (index: Int, free: Int, served: Monotonic?)?
        for (index, standing) in standings.enumerated() {
            guard case .ready(let free) = standing else { continue }
            if free > 0 {
                let served = lastServed(index)
                let isBetter =
                    switch (served, best?.served) {
                    case (let this?, let other?): this > other
                    case (_?, nil): true
                    case (nil, _?): false
                    case (nil, nil): free > best?.free ?? 0
                    }
                if isBetter { best = (index, free, served) }
            }
            if isYielding { break }
        }
        return best?.index
    }

    /// The index of the one that is loaded for a request that waits; nil: none is. One is loaded at a time, and none while
    /// another has a free sequence.
    var next: Int? {
        let isAwaited = standings.contains {
            switch $0 {
            case .loading: true
            case .ready(let free): free > 0
            case .draining, .unloaded, .unavailable: false
            }
        }
        return isAwaited ? nil : standings.firstIndex(of: .unloaded)
    }
}
