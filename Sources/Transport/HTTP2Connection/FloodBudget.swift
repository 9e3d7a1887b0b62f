package import LinuxSystem

/// Counts the frames of one connection that cost its peer less than us; pure (RFC 9113, section 10.5).
///
/// Frames are told from their headers alone, before anything is done with them, those that will be ignored included. What
/// only their effect tells is spent by `spend`.
package struct FloodBudget: Sendable {
    /// What a frame is counted as.
    package enum Kind: Int, CaseIterable, Sendable {
        case settings, acknowledgement, priority, windowUpdate, emptyData, smallData, other
        /// A reset of a stream that is open, and of one that is not: our end of it and theirs may have crossed.
        case reset, lateReset
        /// A reset that the peer made us send: for a stream that it broke, or that it opened above the limit.
        case brokenStream, refusedStream
        /// A header list that is too large to be taken.
        case refusedHeaderList
        /// A KeyUpdate message of TLS.
        case keyUpdate

        /// The limit that is met when there is one too many.
        package var limit: HTTP2Limits.Name {
            switch self {
            case .settings: .settingsPerSecondMax
            case .acknowledgement: .acknowledgementsPerSecondMax
            case .priority: .prioritiesPerSecondMax
            case .windowUpdate: .windowUpdatesPerSecondMax
            case .emptyData: .emptyDataPerSecondMax
            case .smallData: .smallDataPerSecondMax
            case .other: .otherFramesPerSecondMax
            case .reset: .resetsPerSecondMax
            case .lateReset: .lateResetsPerSecondMax
            case .brokenStream: .brokenStreamsPerSecondMax
            case .refusedStream: .refusedStreamsPerSecondMax
            case .refusedHeaderList: .refusedHeaderListsPerSecondMax
            case .keyUpdate: .keyUpdatesPerSecondMax
            }
        }
    }

    /// A DATA frame with less than this is small: its header and our work on it outweigh what it carries.
    private static let smallDataBytes = 16
    /// The most that padding takes of a frame: its length, and as much as that can say (RFC 9113, section 6.1).
    private static let paddingBytesMax = 256
    /// Frames of ours that a peer may answer each with so many updates of a window: the stream's and the connection's,
    /// in halves.
    private static let windowUpdatesPerSentFrame = 4
    private static let settingsEntryBytes = 6

    private let settingsEntriesMax: Int
    private let continuationsMax: Int
    private let headerBlockBytesMax: Int
    private let earnedFramesMax: Int
    private var allowances: [Allowance]
    /// What the peer may send besides, in answer to what it was sent. It may come in long after it was earned, all at once.
    private var earned: [Int]
    /// Of the header block that is being received.
    private var continuations = 0
    private var headerBlockBytes = 0

    package init(_ limits: HTTP2Limits) {
        settingsEntriesMax = limits.settingsEntriesMax
        continuationsMax = limits.continuationsMax
        headerBlockBytesMax = limits.headerBlockBytesMax
        earnedFramesMax = limits.earnedFramesMax
        earned = Kind.allCases.map { _ in 0 }
        allowances = Kind.allCases.map { kind in
            switch kind {
            case .settings: Allowance(atOnce: limits.settingsPerSecondMax)
            case .acknowledgement: Allowance(atOnce: limits.acknowledgementsPerSecondMax)
            case .priority: Allowance(atOnce: limits.prioritiesPerSecondMax)
            case .windowUpdate: Allowance(atOnce: limits.windowUpdatesPerSecondMax)
            case .emptyData: Allowance(atOnce: limits.emptyDataPerSecondMax)
            case .smallData: Allowance(atOnce: limits.smallDataPerSecondMax)
            case .other: Allowance(atOnce: limits.otherFramesPerSecondMax)
            // All streams that may be open can be given up at once.
            case .reset:
                Allowance(
                    atOnce: min(Int(limits.concurrentStreamsMax), limits.resetsAtOnceMax),
                    perSecond: limits.resetsPerSecondMax)
            // All streams that are open may end at once, by both ends.
            case .lateReset:
                Allowance(
                    atOnce: max(Int(limits.concurrentStreamsMax), limits.lateResetsPerSecondMax),
                    perSecond: limits.lateResetsPerSecondMax)
            case .brokenStream: Allowance(atOnce: limits.brokenStreamsPerSecondMax)
            case .refusedStream: Allowance(atOnce: limits.refusedStreamsPerSecondMax)
            case .refusedHeaderList: Allowance(atOnce: limits.refusedHeaderListsPerSecondMax)
            case .keyUpdate: Allowance(atOnce: limits.keyUpdatesPerSecondMax)
            }
        }
    }

    /// Counts a frame by its header; the limit that it goes beyond, or nil. `now` is asked for only where it matters.
    package mutating func receive(_ frame: FrameHeader, at now: @autoclosure () -> Monotonic) -> HTTP2Limits.Name? {
        switch frame.kind {
        case .headers:
            continuations = 0
            headerBlockBytes = frame.length
            return headerBlockBytes <= headerBlockBytesMax ? nil : .headerBlockBytesMax
        case .continuation:
            continuations += 1
            headerBlockBytes += frame.length
            guard continuations <= continuationsMax else { return .continuationsMax }
            return headerBlockBytes <= headerBlockBytesMax ? nil : .headerBlockBytesMax
        case .settings where !frame.isAcknowledgement && frame.length / Self.settingsEntryBytes > settingsEntriesMax:
            return .settingsEntriesMax
        default:
            guard let kind = Self.kind(of: frame) else { return nil }
            return spend(kind, at: now()) ? nil : kind.limit
        }
    }

    /// Counts one of a kind; false when it is one too many.
    package mutating func spend(_ kind: Kind, at now: Monotonic) -> Bool {
        if earned[kind.rawValue] > 0 {
            earned[kind.rawValue] -= 1
            return true
        }
        return allowances[kind.rawValue].take(at: now)
    }

    /// DATA or HEADERS was sent. A peer may answer it with updates of its windows, and with a reset of a stream that this
    /// has ended.
    package mutating func sent() {
        earn(.windowUpdate, Self.windowUpdatesPerSentFrame)
        earn(.lateReset, 1)
    }

    private mutating func earn(_ kind: Kind, _ count: Int) {
        earned[kind.rawValue] = min(earned[kind.rawValue] + count, earnedFramesMax)
    }

    /// What a frame is counted as by its header; nil: as nothing, or as what comes of it.
    private static func kind(of frame: FrameHeader) -> Kind? {
        switch frame.kind {
        case .data:
            guard !frame.endsStream else { return nil }
            let payload = frame.length - (frame.isPadded ? paddingBytesMax : 0)
            return payload <= 0 ? .emptyData : payload < smallDataBytes ? .smallData : nil
        case .settings: return frame.isAcknowledgement ? .acknowledgement : .settings
        // Those that are none are `PingStrikes`'s.
        case .ping: return frame.isAcknowledgement ? .acknowledgement : nil
        case .priority, .priorityUpdate: return .priority
        case .windowUpdate: return .windowUpdate
        case .headers, .continuation, .reset: return nil
        case .goAway, .pushPromise, nil: return .other
        }
    }
}
