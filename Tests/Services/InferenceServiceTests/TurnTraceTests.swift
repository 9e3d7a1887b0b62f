import BackendIPC
import GRPC
import InferenceMessages
import LinuxSystem
import Testing
import TraceExport

@testable import InferenceService

/// What the spans of a turn say, for every way in which one ends.
@Suite
struct TurnTraceTests {
    private static let place = SpanPlace(
        traceID: [UInt8](repeating: 7, count: 16), id: [UInt8](repeating: 1, count: 8),
        parentID: [UInt8](repeating: 9, count: 8), state: "a=1")

    private func at(_ milliseconds: UInt64) -> Monotonic { Monotonic(nanoseconds: milliseconds * 1_000_000) }

    /// It is ten seconds past 1970 when the turn ends, and 9,000 on the turn's clock.
    private var clock: WallClock { WallClock(nanoseconds: 10_000 * 1_000_000, at: at(9_000)) }

    private func trace(_ change: (inout TurnRequest) -> Void = { _ in }, eventsMax: Int = 8) -> TurnTrace {
        var request = TurnRequest()
        request.prompt = .messages(count: 1)
        change(&request)
        return TurnTrace(Self.place, request, model: "m", path: "/hearth.v1.Inference/Chat", eventsMax: eventsMax)
    }

    private func spans(
        _ trace: TurnTrace, _ times: TurnTrace.Times, _ ending: TurnState.Ending = .complete,
        _ figures: TurnTrace.Figures = .init()
    ) -> [Span] {
        trace.spans(times, figures, ending, server: [Span.Attribute("server.port", .number(1))], clock: clock)
    }

    private func value(_ span: Span?, _ key: String) -> Span.Value? {
        span?.attributes.first { $0.key == key }?.value
    }

    private var whole: TurnTrace.Times {
        TurnTrace.Times(arrived: at(1_000), begun: at(2_000), firstToken: at(3_000), lastToken: at(8_000))
    }

    @Test("A whole turn has a span with its parent, and parts within it that follow each other")
    func complete() throws {
        let figures = TurnTrace.Figures(
            promptTokens: 5, cachedPromptTokens: 2, completionTokens: 4, finishReasons: ["stop", "length"])
        let spans = spans(trace(), whole, .complete, figures)
        #expect(spans.map(\.name) == ["chat m", "queue", "prefill", "decode", "send"])
        let turn = try #require(spans.first)
        #expect(turn.traceID == Self.place.traceID && turn.id == Self.place.id && turn.parentID == Self.place.parentID)
        #expect(turn.traceState == "a=1" && turn.kind == .server && !turn.isFailed)
        let parts = spans.dropFirst()
        #expect(parts.allSatisfy { $0.parentID == Self.place.id && $0.traceID == Self.place.traceID })
        #expect(Set(spans.map(\.id)).count == 5)
        let moments = spans.map { [$0.start / 1_000_000, $0.end / 1_000_000] }
        #expect(moments == [[2_000, 10_000], [2_000, 3_000], [3_000, 4_000], [4_000, 9_000], [9_000, 10_000]])
        #expect(value(turn, "gen_ai.operation.name") == .text("chat"))
        #expect(value(turn, "gen_ai.request.model") == .text("m"))
        #expect(value(turn, "gen_ai.usage.input_tokens") == .number(5))
        #expect(value(turn, "gen_ai.usage.output_tokens") == .number(4))
        #expect(value(turn, "gen_ai.usage.cache_read.input_tokens") == .number(2))
        #expect(value(turn, "gen_ai.response.finish_reasons") == .texts(["stop", "length"]))
        #expect(value(turn, "rpc.service") == .text("hearth.v1.Inference"))
        #expect(value(turn, "rpc.method") == .text("Chat"))
        #expect(value(turn, "rpc.grpc.status_code") == .number(0))
        #expect(value(turn, "server.port") == .number(1))
        #expect(value(turn, "error.type") == nil)
    }

    @Test("A turn that fails says with which code and at which limit, and nothing of the status's words")
    func failed() {
        let status = Status.limitMet("turnBytesMax", "the prompt was 'secret'", subject: "turn")
        let spans = spans(trace(), whole, .failed(status))
        #expect(spans[0].isFailed)
        #expect(value(spans[0], "error.type") == .text("RESOURCE_EXHAUSTED"))
        #expect(value(spans[0], "rpc.grpc.status_code") == .number(8))
        #expect(value(spans[0], "hearth.limit") == .text("turnBytesMax"))
        #expect(!"\(spans)".contains("secret"))
    }

    @Test("A turn whose call is gone was cancelled")
    func abandoned() {
        let spans = spans(trace(), TurnTrace.Times(arrived: at(1_000), begun: at(2_000)), .abandoned)
        #expect(spans.map(\.name) == ["chat m", "queue", "prefill"])
        #expect(spans[0].isFailed && value(spans[0], "error.type") == .text("CANCELLED"))
        // What had not come ends with the turn.
        #expect(spans[2].end == clock.nanoseconds)
    }

    @Test("A turn that never began has waited only")
    func waited() {
        let spans = spans(trace(), TurnTrace.Times(arrived: at(1_000)), .failed(Status(.unavailable, "full")))
        #expect(spans.map(\.name) == ["chat m", "queue"])
        #expect(spans[1].start == spans[0].start && spans[1].end == clock.nanoseconds)
    }

    @Test(
        "A model that became ready while the turn waited was waited for; one that was ready before was not",
        arguments: [(UInt64(500), UInt64?.none), (1_500, 2_500), (2_500, 3_000)])
    func load(_ ready: UInt64, _ end: UInt64?) {
        var trace = trace()
        trace.began(onProcessReadySince: at(ready))
        // The next process, after a loss, is none that the turn waited for in its queue.
        trace.began(onProcessReadySince: at(7_000))
        let load = spans(trace, whole).first { $0.name == "load" }
        #expect(load.map { $0.end / 1_000_000 } == end)
        #expect(load == nil || load?.start == 2_000 * 1_000_000)
    }

    @Test("What happened to it is told with its moment, as much as may be, and the rest is counted")
    func happenings() {
        var trace = trace(eventsMax: 3)
        // It did not stand still.
        trace.note(.resumed, at: at(1_400))
        trace.note(.paused, at: at(1_500))
        trace.note(.paused, at: at(1_550))
        trace.note(.resumed, at: at(1_600))
        trace.note(.backendLost, at: at(4_000))
        trace.note(.hostAsleep, at: at(5_000))
        let turn = spans(trace, whole)[0]
        #expect(turn.events.map(\.name) == ["hearth.paused", "hearth.resumed", "hearth.backend_lost"])
        #expect(turn.events.map { $0.time / 1_000_000 } == [2_500, 2_600, 5_000])
        #expect(turn.droppedEvents == 1)
    }

    @Test("What was asked is told in numbers, and what was not asked is not told")
    func asked() {
        let trace = trace {
            $0.prompt = .text(byteCount: 3)
            $0.sampling.temperature = 0.5
            $0.sampling.seed = 3
            $0.stopping.maxTokens = 9
            $0.stopping.stop = ["secret"]
            $0.choices = 2
        }
        let turn = spans(trace, whole)[0]
        #expect(turn.name == "text_completion m")
        #expect(value(turn, "gen_ai.request.temperature") == .fraction(0.5))
        #expect(value(turn, "gen_ai.request.seed") == .number(3))
        #expect(value(turn, "gen_ai.request.max_tokens") == .number(9))
        #expect(value(turn, "gen_ai.request.choice.count") == .number(2))
        #expect(value(turn, "gen_ai.request.top_p") == nil)
        #expect(!"\(turn)".contains("secret"))
    }

    private func answerSpans(
        _ trace: TurnTrace, _ times: TurnTrace.AnswerTimes, inputTokens: UInt32? = nil, _ failure: Status? = nil
    ) -> [Span] {
        trace.spans(times, inputTokens: inputTokens, failure, server: [], clock: clock)
    }

    @Test("A request for vectors has a span with what it cost, and parts for its wait and its computation")
    func embedding() throws {
        var request = EmbeddingRequest(.embed)
        request.dimensions = 64
        var trace = TurnTrace(Self.place, request, model: "m", path: "/hearth.v1.Inference/Embed", eventsMax: 8)
        trace.began(onProcessReadySince: at(1_500))
        let times = TurnTrace.AnswerTimes(arrived: at(1_000), begun: at(2_000), answered: at(8_000))
        let spans = answerSpans(trace, times, inputTokens: 5)
        #expect(spans.map(\.name) == ["embeddings m", "queue", "load", "compute"])
        let moments = spans.map { [$0.start / 1_000_000, $0.end / 1_000_000] }
        #expect(moments == [[2_000, 10_000], [2_000, 3_000], [2_000, 2_500], [3_000, 9_000]])
        let whole = try #require(spans.first)
        #expect(whole.parentID == Self.place.parentID && spans.dropFirst().allSatisfy { $0.parentID == Self.place.id })
        #expect(value(whole, "gen_ai.operation.name") == .text("embeddings"))
        #expect(value(whole, "gen_ai.embeddings.dimension.count") == .number(64))
        #expect(value(whole, "gen_ai.usage.input_tokens") == .number(5))
        #expect(value(whole, "gen_ai.usage.output_tokens") == nil)
        #expect(value(whole, "rpc.method") == .text("Embed"))
        #expect(value(whole, "rpc.grpc.status_code") == .number(0) && !whole.isFailed)
    }

    @Test("A request for scores that failed says with which code, and how far it came")
    func rerank() {
        let trace = TurnTrace(
            Self.place, EmbeddingRequest(.rerank), model: "m", path: "/hearth.v1.Inference/Rerank", eventsMax: 8)
        let times = TurnTrace.AnswerTimes(arrived: at(1_000), begun: at(2_000))
        let spans = answerSpans(trace, times, Status(.internalError, "secret"))
        #expect(spans.map(\.name) == ["rerank m", "queue", "compute"])
        #expect(spans[0].isFailed && value(spans[0], "error.type") == .text("INTERNAL"))
        #expect(value(spans[0], "gen_ai.embeddings.dimension.count") == nil)
        #expect(spans[2].end == clock.nanoseconds && !"\(spans)".contains("secret"))
    }

    @Test(
        "A question about a prompt has a span of its own name",
        arguments: [
            (RequestOrder.Method.countTokens, "count_tokens"), (.tokenize, "tokenize"), (.detokenize, "detokenize"),
            (.applyTemplate, "apply_template"),
        ])
    func question(_ method: RequestOrder.Method, _ operation: String) {
        let trace = TurnTrace(Self.place, method, model: "m", path: "/hearth.v1.Inference/X", eventsMax: 8)
        let spans = answerSpans(trace, TurnTrace.AnswerTimes(arrived: at(1_000)))
        #expect(spans.map(\.name) == ["\(operation) m", "queue"])
        #expect(value(spans[0], "gen_ai.operation.name") == .text(operation))
        #expect(value(spans[0], "gen_ai.usage.input_tokens") == nil)
    }

    @Test("A turn's state tells its trace when it came how far, and what it computed")
    func state() {
        var request = TurnRequest()
        request.choices = 2
        var turn = TurnState(request, model: "m", creditTokens: 8, limits: InferenceLimits(), arrived: at(1_000))
        #expect(turn.times == TurnTrace.Times(arrived: at(1_000)))
        #expect(turn.figures == TurnTrace.Figures())
        _ = turn.begun(Hearth_V1_Accepted(), granted: 8, at: at(2_000))
        var finish = Finish(.reason(.length))
        finish.promptTokens = 6
        finish.cachedPromptTokens = 4
        _ = turn.finished(finish, at: at(3_000))
        #expect(turn.times.begun == at(2_000) && turn.times.firstToken == nil)
        #expect(
            turn.figures
                == TurnTrace.Figures(promptTokens: 6, cachedPromptTokens: 4, finishReasons: ["length"]))
    }
}
