internal import BackendIPC
internal import BaseEncodings
internal import Cryptography
internal import GRPC
internal import LinuxSystem
internal import Logging
internal import TraceExport

/// What a request that is traced tells in its spans, which are made once, at its end: one for the whole of it, and parts for
/// the wait in the queue and the wait for the model; of a turn for the prompt, the tokens, and their last bytes; and of a
/// request that is answered in one message for its computation. A value; pure but for the spans' numbers.
///
/// The names are those of OpenTelemetry's conventions for generative AI and for RPC. Nothing of a prompt, an answer, a key or
/// a status's message is in them.
struct TurnTrace {
    /// The moments of a turn that its state knows, on the clock of `Monotonic.awake`.
    struct Times: Equatable {
        var arrived: Monotonic
        var begun: Monotonic?
        var firstToken: Monotonic?
        var lastToken: Monotonic?
    }

    /// The moments of a request that is answered in one message, on the same clock.
    struct AnswerTimes: Equatable {
        var arrived: Monotonic
        var begun: Monotonic?
        var answered: Monotonic?
    }

    /// What was computed, in numbers.
    struct Figures: Equatable {
        var promptTokens: UInt32 = 0
        var cachedPromptTokens: UInt32 = 0
        var completionTokens: UInt32 = 0
        /// Of each choice that is whole: "stop", "length", "tool_calls" or "cancelled".
        var finishReasons: [String] = []
    }

    /// What happens to a turn.
    enum Happening: String {
        case paused = "hearth.paused"
        case resumed = "hearth.resumed"
        case backendLost = "hearth.backend_lost"
        case hostAsleep = "hearth.host_asleep"
    }

    let place: SpanPlace
    private let operation: String
    private let model: String
    private let request: [Span.Attribute]
    private let eventsMax: Int
    private var happened: [(Happening, Monotonic)] = []
    private var unkept: UInt64 = 0
    private var last: Happening?
    /// Since when the model that it began on could be used.
    private var loaded: Monotonic?

    /// `path`: that of the call, "/hearth.v1.Inference/Chat".
    init(_ place: SpanPlace, _ request: TurnRequest, model: String, path: String, eventsMax: Int) {
        let isChat = if case .messages? = request.prompt { true } else { false }
        self.init(
            place, isChat ? "chat" : "text_completion", Self.asked(request), model: model, path: path,
            eventsMax: eventsMax)
    }

    /// For vectors or scores. The conventions have no name for the latter.
    init(_ place: SpanPlace, _ request: EmbeddingRequest, model: String, path: String, eventsMax: Int) {
        let dimensions = request.dimensions.map {
            Span.Attribute("gen_ai.embeddings.dimension.count", .number(Int64($0)))
        }
        self.init(
            place, request.task == .embed ? "embeddings" : "rerank", dimensions.map { [$0] } ?? [], model: model,
            path: path, eventsMax: eventsMax)
    }

    /// For a question about a prompt, for which the conventions have no names.
    init(_ place: SpanPlace, _ question: RequestOrder.Method, model: String, path: String, eventsMax: Int) {
        let operation =
            switch question {
            case .countTokens: "count_tokens"
            case .tokenize: "tokenize"
            case .detokenize: "detokenize"
            default: "apply_template"
            }
        self.init(place, operation, [], model: model, path: path, eventsMax: eventsMax)
    }

    private init(
        _ place: SpanPlace, _ operation: String, _ asked: [Span.Attribute], model: String, path: String, eventsMax: Int
    ) {
        self.place = place
        self.operation = operation
        self.model = model
        self.eventsMax = eventsMax
        let names = path.split(separator: "/")
        self.request =
            [
                Span.Attribute("rpc.system", .text("grpc")),
                Span.Attribute("rpc.service", .text(names.first.map(String.init) ?? "")),
                Span.Attribute("rpc.method", .text(names.last.map(String.init) ?? "")),
                Span.Attribute("gen_ai.provider.name", .text("hearth")),
                Span.Attribute("gen_ai.operation.name", .text(operation)),
                Span.Attribute("gen_ai.request.model", .text(model)),
            ] + asked
    }

    private static func asked(_ request: TurnRequest) -> [Span.Attribute] {
        let sampling = request.sampling
        let fractions: [(String, Float?)] = [
            ("temperature", sampling.temperature), ("top_p", sampling.topP),
            ("frequency_penalty", sampling.frequencyPenalty), ("presence_penalty", sampling.presencePenalty),
        ]
        let numbers: [(String, Int64?)] = [
            ("max_tokens", request.stopping.maxTokens.map(Int64.init)),
            ("seed", sampling.seed.map { Int64(bitPattern: $0) }),
            ("choice.count", request.choiceCount > 1 ? Int64(request.choiceCount) : nil),
        ]
        return numbers.compactMap { name, value in
            value.map { Span.Attribute("gen_ai.request.\(name)", .number($0)) }
        }
            + fractions.compactMap { name, value in
                value.map { Span.Attribute("gen_ai.request.\(name)", .fraction(Double($0))) }
            }
    }

    /// What changes nothing is not told: all turns hear of what their owner does, and all choices of a lost process.
    mutating func note(_ happening: Happening, at now: Monotonic) {
        guard happening != last, happening != .resumed || last == .paused || last == .backendLost else { return }
        last = happening
        if happened.count < eventsMax { happened.append((happening, now)) } else { unkept += 1 }
    }

    /// The turn begins on a process that has been ready since this moment.
    mutating func began(onProcessReadySince ready: Monotonic?) {
        if loaded == nil { loaded = ready }
    }

    /// For lines of the log that belong to the turn.
    var logMetadata: Logger.Metadata { Logger.Metadata(traceID: place.traceID, spanID: place.id) }

    /// The turn's spans, the whole one first. `server`: what consumers call.
    func spans(
        _ times: Times, _ figures: Figures, _ ending: TurnState.Ending, server: [Span.Attribute], clock: WallClock
    ) -> [Span] {
        let failure: Status? =
            switch ending {
            case .complete: nil
            case .failed(let status): status
            case .abandoned: Status(.cancelled)
            }
        let whole = whole(
            from: times.arrived, [Span.Attribute("gen_ai.response.model", .text(model))] + Self.computed(figures),
            failure, server: server, clock)
        return [whole] + waits(times.arrived, times.begun, clock)
            + [
                part("prefill", times.begun, times.firstToken, clock),
                part("decode", times.firstToken, times.lastToken, clock), part("send", times.lastToken, nil, clock),
            ].compactMap { $0 }
    }

    /// Those of a request that is answered in one message. `inputTokens`: what was computed, where that is known; `failure`: why
    /// it was not answered.
    func spans(
        _ times: AnswerTimes, inputTokens: UInt32?, _ failure: Status?, server: [Span.Attribute], clock: WallClock
    ) -> [Span] {
        let computed = inputTokens.map { [Span.Attribute("gen_ai.usage.input_tokens", .number(Int64($0)))] } ?? []
        return [whole(from: times.arrived, computed, failure, server: server, clock)]
            + waits(times.arrived, times.begun, clock)
            + [part("compute", times.begun, times.answered, clock)].compactMap { $0 }
    }

    private func whole(
        from arrived: Monotonic, _ computed: [Span.Attribute], _ failure: Status?, server: [Span.Attribute],
        _ clock: WallClock
    ) -> Span {
        var whole = Span(
            traceID: place.traceID, id: place.id, parentID: place.parentID, traceState: place.state,
            name: "\(operation) \(model)", kind: .server, start: clock.nanoseconds(at: arrived), end: clock.nanoseconds,
            attributes: request + server + computed)
        whole.events = happened.map { Span.Event($0.rawValue, at: clock.nanoseconds(at: $1)) }
        whole.droppedEvents = unkept
        if let failure {
            whole.fail(failure)
        } else {
            whole.attributes.append(Span.Attribute("rpc.grpc.status_code", .number(0)))
        }
        return whole
    }

    /// What passed before it began.
    private func waits(_ arrived: Monotonic, _ begun: Monotonic?, _ clock: WallClock) -> [Span] {
        // A model that was ready when the request came was not waited for.
        let waitedForModel = loaded.map { $0 > arrived } ?? false
        let load = waitedForModel ? part("load", arrived, min(loaded, begun), clock) : nil
        return [part("queue", arrived, begun, clock), load].compactMap { $0 }
    }

    /// Nil where its first moment has not come.
    private func part(_ name: String, _ start: Monotonic?, _ end: Monotonic?, _ clock: WallClock) -> Span? {
        guard let start else { return nil }
        return Span(
            traceID: place.traceID, id: SecretBytes.random(8), parentID: place.id, traceState: place.state,
            name: name, start: clock.nanoseconds(at: start), end: end.map(clock.nanoseconds) ?? clock.nanoseconds,
            attributes: [Span.Attribute("gen_ai.request.model", .text(model))])
    }

    private func min(_ one: Monotonic?, _ other: Monotonic?) -> Monotonic? {
        guard let one, let other else { return one ?? other }
        return one < other ? one : other
    }

    private static func computed(_ figures: Figures) -> [Span.Attribute] {
        var attributes = [
            Span.Attribute("gen_ai.usage.input_tokens", .number(Int64(figures.promptTokens))),
            Span.Attribute("gen_ai.usage.output_tokens", .number(Int64(figures.completionTokens))),
        ]
        if figures.cachedPromptTokens > 0 {
            attributes.append(
                Span.Attribute("gen_ai.usage.cache_read.input_tokens", .number(Int64(figures.cachedPromptTokens))))
        }
        if !figures.finishReasons.isEmpty {
            attributes.append(Span.Attribute("gen_ai.response.finish_reasons", .texts(figures.finishReasons)))
        }
        return attributes
    }
}

extension Span {
    /// Says that it failed and with which code, without the status's words.
    fileprivate mutating func fail(_ status: Status) {
        isFailed = true
        attributes.append(Attribute("error.type", .text(status.code.name)))
        attributes.append(Attribute("rpc.grpc.status_code", .number(Int64(status.code.rawValue))))
        if let limit = status.limit { attributes.append(Attribute("hearth.limit", .text(limit))) }
    }
}

extension Logger.Metadata {
    /// The trace that a line of the log belongs to.
    init(traceID: [UInt8], spanID: [UInt8]) {
        self = ["trace_id": "\(hexadecimal(traceID))", "span_id": "\(hexadecimal(spanID))"]
    }
}
