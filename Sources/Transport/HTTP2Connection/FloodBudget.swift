package import LinuxSystem

/// Counts the frames of one connection that cost its peer less than us (RFC 9113, section 10.5). Pure.
///
/// Frames are counted by their headers alone, before anything is done with them, and so are those that will be ignored.
/// What only a frame's effect shows is counted by `spend`.
package struct FloodBudget: Sendable {
    /// The kinds of frames that are counted.
    package enum Kind: Int, CaseIterable, Sendable {
        case settings, acknowledgement, priority, windowUpdate, emptyData, smallData, other
        /// A reset of an open stream, and of one that has ended: both ends may have ended it at once.
        case reset, lateReset
        /// A reset that the peer made us send: for a stream that it broke, or that it opened above the limit.
        case brokenStream, refusedStream
        /// A header list that is too large.
        case refusedHeaderList
        /// A KeyUpdate message of TLS.
        case keyUpdate

        /// The limit that one frame too many of this kind meets.
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

    /// A DATA frame with less payload than this is small: its header and our work on it outweigh the payload.
    private static let smallDataBytes = 16
    /// The most bytes of a frame that padding takes: one length byte and up to 255 more (RFC 9113, section 6.1).
    private static let paddingBytesMax = 256
    /// A peer may answer each frame of ours with this many WINDOW_UPDATE: of the stream and of the connection, in
    /// halves.
    private static let windowUpdatesPerSentFrame = 4
    private static let settingsEntryBytes = 6

    private let settingsEntriesMax: Int
    private let continuationsMax: Int
    private let headerBlockBytesMax: Int
    private let earnedFramesMax: Int
    private var allowances: [Allowance]
    /// What the peer may send in addition, in answer to our frames. It may come long after our frames, and all at once.
    private var earned: [Int]
    /// The number of CONTINUATION frames of the header block that is being received.
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

    /// Counts a frame by its header; returns the limit that it exceeds, or nil. `now` is evaluated only where it is
    /// needed.
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

    /// We sent DATA or HEADERS. The peer may answer with WINDOW_UPDATE, and with a reset of a stream that this has
    /// ended.
    package mutating func sent() {
        earn(.windowUpdate, Self.windowUpdatesPerSentFrame)
        earn(.lateReset, 1)
    }

    private mutating func earn(_ kind: Kind, _ count: Int) {
        earned[kind.rawValue] = min(earned[kind.rawValue] + count, earnedFramesMax)
    }

    /// The kind of a frame by its header; nil: it is not counted, or is counted by its effect.
    private static func kind(of frame: FrameHeader) -> Kind? {
        switch frame.kind {
        case .data:
            guard !frame.endsStream else { return nil }
            let payload = frame.length - (frame.isPadded ? paddingBytesMax : 0)
            return payload <= 0 ? .emptyData : payload < smallDataBytes ? .smallData : nil
        case .settings: return frame.isAcknowledgement ? .acknowledgement : .settings
        // PINGs that are no acknowledgements are counted by `PingStrikes`.
        case .ping: return frame.isAcknowledgement ? .acknowledgement : nil
        case .priority, .priorityUpdate: return .priority
        case .windowUpdate: return .windowUpdate
        case .headers, .continuation, .reset: return nil
        case .goAway, .pushPromise, nil: return .other
        }
    }
}
