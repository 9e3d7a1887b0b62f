internal import GRPC
internal import LinuxSystem

/// Decides which spans are exported, and when. A value: its owner (`Tracer`) asks for the `next` export after each event, and
/// again when one is `due`. One export is under way at a time; what comes meanwhile waits, within bounds.
struct SpanExport {
    private struct Batch {
        let spans: [[UInt8]]
        /// When it was first tried.
        let begun: Monotonic
    }

    private enum Phase {
        case gathering
        /// Its answer is to be told by `accepted` or `refused`.
        case sending(Batch)
        /// It is tried again at this moment.
        case pausing(Batch, until: Monotonic)
    }

    /// Spans that the collector has taken.
    private(set) var exported: UInt64 = 0
    /// Spans that were given up: for want of room, or because the collector would not take them.
    private(set) var dropped: UInt64 = 0
    private let limits: TracingLimits
    private var phase = Phase.gathering
    /// Encoded, the oldest first.
    private var waiting: [[UInt8]] = []
    private var waitingBytes = 0
    /// Since when the oldest of them has waited; nil: none does.
    private var oldest: Monotonic?
    private var backoff = ConnectionBackoff(lastMilliseconds: 60_000)
    private var isStopping = false

    /// The longest pause that a collector can ask for.
    private static let retryAfterMillisecondsMax: UInt64 = 300_000

    init(_ limits: TracingLimits) { self.limits = limits }

    /// Spans that wait, those under way among them.
    var waitingCount: Int {
        switch phase {
        case .gathering: waiting.count
        case .sending(let batch), .pausing(let batch, _): waiting.count + batch.spans.count
        }
    }

    /// Nothing more will be exported.
    var isDone: Bool { isStopping && waitingCount == 0 }

    mutating func add(_ spans: [[UInt8]], at now: Monotonic) {
        for span in spans {
            guard waiting.count < limits.spansWaitingMax, waitingBytes + span.count <= limits.spansWaitingBytesMax
            else {
                dropped += 1
                continue
            }
            waiting.append(span)
            waitingBytes += span.count
        }
        if oldest == nil, !waiting.isEmpty { oldest = now }
    }

    /// When `next` has something, if nothing happens before; nil: not before something happens.
    var due: Monotonic? {
        switch phase {
        case .sending: return nil
        case .pausing(_, let until): return until
        case .gathering:
            guard let oldest else { return nil }
            let isEnough = isStopping || waiting.count >= limits.spansPerExportMax
            return isEnough ? oldest : oldest.advanced(milliseconds: limits.exportPauseMilliseconds)
        }
    }

    /// The spans to export now; nil: none are.
    mutating func next(at now: Monotonic) -> [[UInt8]]? {
        guard let due, now >= due else { return nil }
        let batch: Batch
        if case .pausing(let again, _) = phase {
            batch = again
        } else {
            batch = Batch(spans: taken(at: now), begun: now)
        }
        phase = .sending(batch)
        return batch.spans
    }

    private mutating func taken(at now: Monotonic) -> [[UInt8]] {
        var count = 0
        var byteCount = 0
        for span in waiting.prefix(limits.spansPerExportMax) {
            byteCount += span.count
            if count > 0, byteCount > limits.exportBytesMax { break }
            count += 1
        }
        let spans = Array(waiting.prefix(count))
        waiting.removeFirst(count)
        waitingBytes -= spans.reduce(0) { $0 + $1.count }
        oldest = waiting.isEmpty ? nil : now
        return spans
    }

    /// The collector has answered. `rejected`: so many of the spans it has not taken, and never will.
    mutating func accepted(rejected: UInt64 = 0) {
        guard case .sending(let batch) = phase else { return }
        let count = UInt64(batch.spans.count)
        exported += count - min(rejected, count)
        dropped += min(rejected, count)
        backoff.reset()
        phase = .gathering
    }

    /// The export has failed. `chance` is from -1 to 1.
    mutating func refused(_ status: Status, chance: Double, at now: Monotonic) {
        guard case .sending(let batch) = phase else { return }
        let isOld = now.since(batch.begun) >= limits.exportRetrySeconds &* 1_000_000_000
        guard Self.isRetryable(status), !isOld, !isStopping else {
            dropped += UInt64(batch.spans.count)
            phase = .gathering
            if isStopping { dropWaiting() }
            return
        }
        let pause = backoff.failed(chance: chance)
        let asked = status.retryAfterMilliseconds.map { min($0, Self.retryAfterMillisecondsMax) }
        phase = .pausing(batch, until: now.advanced(milliseconds: asked ?? pause))
    }

    /// What is there is exported at once, and nothing is tried again.
    mutating func stop(at now: Monotonic) {
        isStopping = true
        if case .pausing(let batch, _) = phase { phase = .pausing(batch, until: now) }
    }

    /// Gives up what is left.
    mutating func abandon() {
        isStopping = true
        dropped += UInt64(waitingCount)
        phase = .gathering
        (waiting, waitingBytes, oldest) = ([], 0, nil)
    }

    private mutating func dropWaiting() {
        dropped += UInt64(waiting.count)
        (waiting, waitingBytes, oldest) = ([], 0, nil)
    }

    /// Whether the same export may succeed later (https://opentelemetry.io/docs/specs/otlp/#failures).
    static func isRetryable(_ status: Status) -> Bool {
        switch status.code {
        case .cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss: true
        case .resourceExhausted: status.retryAfterMilliseconds != nil
        default: false
        }
    }
}
