internal import EventLoop
internal import GRPC
internal import LinuxSystem
internal import TraceExport

/// The trace of a request that is answered in one message: tells `TurnTrace` its moments, and hands over its spans at its
/// end.
@IOLoop
final class AnswerTrace {
    private let tracer: Tracer
    private let call: ServerCall
    private var trace: TurnTrace
    private var times = TurnTrace.AnswerTimes(arrived: .awake())

    /// Nil: the request is not traced. `make` gets the place of its span and the most events that this tells.
    init?(_ call: ServerCall, tracer: Tracer?, _ make: (SpanPlace, Int) -> TurnTrace) {
        guard let tracer, let place = tracer.begin(call.metadata) else { return nil }
        self.tracer = tracer
        self.call = call
        trace = make(place, tracer.eventsMax)
    }

    /// A process that has been ready since this moment computes it; perhaps not the first one.
    func began(onProcessReadySince ready: Monotonic?) {
        let now = Monotonic.awake()
        if times.begun == nil { times.begun = now } else { trace.note(.resumed, at: now) }
        trace.began(onProcessReadySince: ready)
    }

    /// The process that computed it was lost.
    func lost() { trace.note(.backendLost, at: .awake()) }

    /// What was asked for, or why it was not, came from the process.
    func answered() { times.answered = .awake() }

    /// The request is over, before its call is ended. `failure`: why it was not answered; nil: it was, if its call is still
    /// there. `inputTokens`: what was computed, where that is known.
    func end(_ failure: Status?, inputTokens: UInt32? = nil) {
        let failure = failure ?? (call.isOver ? Status(.cancelled) : nil)
        tracer.take(trace.spans(times, inputTokens: inputTokens, failure, server: tracer.server, clock: .now()))
    }
}
