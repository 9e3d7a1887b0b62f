import GRPC
import LinuxSystem
import Testing

@testable import TraceExport

@Suite
struct SpanExportTests {
    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    private func spans(_ count: Int, bytes: Int = 10) -> [[UInt8]] {
        (0..<count).map { _ in [UInt8](repeating: 1, count: bytes) }
    }

    private func export(_ change: (inout TracingLimits) -> Void = { _ in }) -> SpanExport {
        var limits = TracingLimits()
        change(&limits)
        return SpanExport(limits)
    }

    /// One whose batch of three spans, which came at 0, is under way since 5 s.
    private func sending() -> SpanExport {
        var export = export()
        export.add(spans(3), at: at(0))
        _ = export.next(at: at(5_000))
        return export
    }

    private static let unavailable = Status(.unavailable, "refused")

    @Test("Without spans nothing is due; spans wait for others, and are exported together five seconds after the first")
    func pause() {
        var export = export()
        let none = export.next(at: at(99_000))
        #expect(export.due == nil && none == nil)
        export.add(spans(2), at: at(1_000))
        export.add(spans(1), at: at(3_000))
        #expect(export.due == at(6_000))
        let early = export.next(at: at(5_999))
        let batch = export.next(at: at(6_000))
        #expect(early == nil && batch?.count == 3)
        #expect(export.due == nil && export.waitingCount == 3)
        export.accepted()
        #expect(export.exported == 3 && export.waitingCount == 0 && export.due == nil)
    }

    @Test("Enough spans for an export do not wait, and what is beyond waits for the next one")
    func full() {
        var export = export()
        export.add(spans(600), at: at(1_000))
        #expect(export.due == at(1_000))
        let first = export.next(at: at(1_000))
        #expect(first?.count == 512)
        // One export at a time.
        let meanwhile = export.next(at: at(9_000))
        #expect(meanwhile == nil)
        export.accepted()
        #expect(export.due == at(6_000))
        let second = export.next(at: at(6_000))
        #expect(second?.count == 88)
    }

    @Test("An export has so many bytes, or one span")
    func bytes() {
        var export = export { $0.exportBytesMax = 25 }
        export.add(spans(3) + spans(1, bytes: 99), at: at(0))
        export.stop(at: at(0))
        var counts: [Int] = []
        while let batch = export.next(at: at(1)) {
            counts.append(batch.count)
            export.accepted()
        }
        #expect(counts == [2, 1, 1])
    }

    @Test("Spans beyond the bounds are dropped and counted, those that wait stay")
    func bounds() {
        var byCount = export { $0.spansWaitingMax = 4 }
        byCount.add(spans(6), at: at(0))
        #expect(byCount.waitingCount == 4 && byCount.dropped == 2)
        var byBytes = export { $0.spansWaitingBytesMax = 35 }
        byBytes.add(spans(6), at: at(0))
        #expect(byBytes.waitingCount == 3 && byBytes.dropped == 3)
        // What was taken has made room.
        _ = byBytes.next(at: at(5_000))
        byBytes.add(spans(3), at: at(5_001))
        #expect(byBytes.waitingCount == 6 && byBytes.dropped == 3)
    }

    @Test("An export that failed for now is made again after a pause that grows, with the same spans")
    func retry() {
        var export = sending()
        export.refused(Self.unavailable, chance: 0, at: at(5_100))
        #expect(export.due == at(6_100))
        let again = export.next(at: at(6_100))
        #expect(again?.count == 3)
        export.refused(Self.unavailable, chance: 0, at: at(6_200))
        #expect(export.due == at(7_800))
        _ = export.next(at: at(7_800))
        export.accepted()
        #expect(export.exported == 3 && export.dropped == 0)
    }

    @Test("A collector that says when to come again is listened to, within reason")
    func retryInfo() {
        for (asked, due) in [(30_000, 35_000), (86_400_000, 305_000)] as [(UInt64, UInt64)] {
            var export = sending()
            let details = [Status.Detail.retry(afterMilliseconds: asked)]
            export.refused(Status(.resourceExhausted, "busy", details: details), chance: 0, at: at(5_000))
            #expect(export.due == at(due))
        }
    }

    @Test(
        "Which statuses allow another try is OTLP's to say",
        arguments: [
            (Status.Code.cancelled, true), (.deadlineExceeded, true), (.aborted, true), (.outOfRange, true),
            (.unavailable, true), (.dataLoss, true), (.unknown, false), (.invalidArgument, false), (.notFound, false),
            (.alreadyExists, false), (.permissionDenied, false), (.resourceExhausted, false),
            (.failedPrecondition, false), (.unimplemented, false), (.internalError, false), (.unauthenticated, false),
        ])
    func retryable(_ code: Status.Code, _ isRetryable: Bool) {
        var export = sending()
        export.refused(Status(code), chance: 0, at: at(5_000))
        #expect((export.due != nil) == isRetryable)
        #expect(export.dropped == (isRetryable ? 0 : 3))
    }

    @Test("An export that fails for five minutes is given up, and later spans go on")
    func age() {
        var export = sending()
        export.refused(Self.unavailable, chance: 0, at: at(304_999))
        let again = export.next(at: at(400_000))
        #expect(again?.count == 3)
        export.add(spans(1), at: at(400_000))
        export.refused(Self.unavailable, chance: 0, at: at(400_001))
        #expect(export.dropped == 3 && export.due == at(405_000))
    }

    @Test("What a collector has rejected of an export counts as dropped")
    func partial() {
        var export = sending()
        export.accepted(rejected: 2)
        #expect(export.exported == 1 && export.dropped == 2)
        var more = sending()
        more.accepted(rejected: 9)
        #expect(more.exported == 0 && more.dropped == 3)
    }

    @Test("At the end what waits is exported at once, one export after the other")
    func stop() {
        var export = export { $0.spansPerExportMax = 2 }
        export.add(spans(1), at: at(0))
        export.stop(at: at(10))
        #expect(!export.isDone)
        export.add(spans(2), at: at(11))
        var counts: [Int] = []
        while let batch = export.next(at: at(20)) {
            counts.append(batch.count)
            export.accepted()
        }
        #expect(counts == [2, 1] && export.isDone)
        var empty = SpanExport(TracingLimits())
        empty.stop(at: at(0))
        #expect(empty.isDone)
    }

    @Test("At the end an export that fails is not made again, and one that pauses is made at once, for the last time")
    func stopFailing() {
        var export = sending()
        export.add(spans(4), at: at(5_001))
        export.stop(at: at(5_002))
        export.refused(Self.unavailable, chance: 0, at: at(5_003))
        #expect(export.isDone && export.dropped == 7)
        var pausing = sending()
        pausing.refused(Self.unavailable, chance: 0, at: at(5_001))
        pausing.stop(at: at(5_002))
        let last = pausing.next(at: at(5_002))
        #expect(last?.count == 3)
        pausing.abandon()
        #expect(pausing.isDone && pausing.dropped == 3)
        // The answer comes too late.
        pausing.accepted()
        #expect(pausing.exported == 0)
    }
}
