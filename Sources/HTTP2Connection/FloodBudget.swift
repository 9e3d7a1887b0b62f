package import LinuxSystem

/// Counts, second by second, the frames of one connection that cost its peer nothing; pure.
package struct FloodBudget: Sendable {
    package enum Kind: Int, CaseIterable, Sendable {
        case settings, reset, emptyData, priority

        /// What a frame counts as; nil: as nothing.
        package init?(_ frame: FrameHeader) {
            switch frame.kind {
            case .settings where !frame.isAcknowledgement: self = .settings
            case .reset: self = .reset
            case .priority, .priorityUpdate: self = .priority
            case .data where frame.length == 0 && !frame.endsStream: self = .emptyData
            default: return nil
            }
        }
    }

    private let allowed: [Int]
    private var spent = [Int](repeating: 0, count: Kind.allCases.count)
    private var second: UInt64 = 0

    package init(_ limits: HTTP2Limits) {
        allowed = [
            limits.settingsPerSecondMax, limits.resetsPerSecondMax, limits.emptyDataPerSecondMax,
            limits.prioritiesPerSecondMax,
        ]
    }

    /// Counts one frame; false when it is one too many for this second.
    package mutating func spend(_ kind: Kind, at now: Monotonic) -> Bool {
        let current = now.nanoseconds / 1_000_000_000
        if current != second {
            second = current
            for index in spent.indices { spent[index] = 0 }
        }
        spent[kind.rawValue] += 1
        return spent[kind.rawValue] <= allowed[kind.rawValue]
    }
}
