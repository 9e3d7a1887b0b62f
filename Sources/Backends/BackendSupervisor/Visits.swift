/// The work of reading a backend, in frames, runs and bytes.
struct Visits {
    /// Visits in one step of `LoopLimits`: a run costs a quarter of a microsecond.
    static let perStep = 4
    private static let bytesPerVisit = 128

    private let max: Int
    private var used = 0

    init(stepsMax: Int) { max = stepsMax * Visits.perStep }

    var areUsed: Bool { used >= max }
    var steps: Int { used / Visits.perStep + 1 }

    mutating func use() { used &+= 1 }
    mutating func use(bytes: Int) { used &+= 1 &+ bytes / Visits.bytesPerVisit }
}
