internal import EventLoop
internal import LinuxSystem

/// SIGINT, SIGTERM and SIGHUP as a stream of their numbers; they must be blocked in every thread.
@IOLoop
final class SignalStream: ReadinessHandler {
    private let signals: TerminationSignals
    private let continuation: AsyncStream<Int32>.Continuation

    /// The stream keeps the descriptor open and watched until the process ends.
    static func make() throws(LinuxError) -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(8))
        let handler = SignalStream(signals: try TerminationSignals(), continuation: continuation)
        _ = try IOLoop.watch(handler.signals.descriptor, .readable, .first, handler: handler)
        return stream
    }

    private init(signals: consuming TerminationSignals, continuation: AsyncStream<Int32>.Continuation) {
        self.signals = signals
        self.continuation = continuation
    }

    func ready(_ readiness: Readiness) {
        while let number = signals.next() { continuation.yield(number) }
    }
}
